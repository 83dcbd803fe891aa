"""An answer on its way out: tokens grouped into events, whole characters only, cut at a stop sequence."""

from __future__ import annotations

import codecs
import time
from typing import TYPE_CHECKING

from edgetui.worker.protocol import Generate, SessionEvent, Tokens

if TYPE_CHECKING:
    from collections.abc import Callable


class Utf8Stream:
    """Bytes in, whole characters out: a character split between tokens waits for its rest."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._waits = False

    def feed(self, raw: bytes) -> str:
        """The characters completed by `raw`."""
        if not self._waits and raw.isascii():
            return raw.decode("ascii")
        text = self._decoder.decode(raw)
        self._waits = bool(self._decoder.getstate()[0])
        return text

    def finish(self) -> str:
        """What is left at the end: U+FFFD for a character that never became whole, or nothing."""
        return self._decoder.decode(b"", final=True)


class AnswerStream:
    """Takes an engine's tokens one by one and sends them in groups; `close` sends the rest.

    A token's way is kept short: the weights that went through the caches have left none of this in them, so each step
    costs many times what it does in a loop of its own.
    """

    def __init__(self, command: Generate, arrived_ns: int, emit: Callable[[SessionEvent], None]) -> None:
        self._turn = command.turn
        self._flush_interval_ns = command.flush_interval_s * 1e9
        self._stops = tuple(stop for stop in command.sampling.stop if stop)
        self._held_most = max((len(stop) for stop in self._stops), default=1) - 1
        self._arrived_ns = arrived_ns
        self._emit = emit
        self._characters = Utf8Stream()
        self._held = ""
        """The end of the answer while it may be the beginning of a stop sequence."""
        self._unsent: list[str] = []
        self._unsent_from = 0
        self._flushed_ns = 0
        self._latest_ns = 0
        self._said: list[str] = []
        self.times_ns: list[int] = []
        """Of every token, since the command arrived."""
        self.stop_text = ""
        """The stop sequence that came; empty while none did."""

    def add(self, piece: bytes | str, context_used: int, tokens: int = 1) -> bool:
        """Take so many tokens that came together; returns whether a stop sequence has come, after which nothing may."""
        now_ns = time.perf_counter_ns() - self._arrived_ns
        interval_ns = 0 if tokens > 1 else now_ns - self._latest_ns
        is_first = not self.times_ns
        self._latest_ns = now_ns
        self.times_ns += (now_ns,) * tokens
        text = self._characters.feed(piece) if isinstance(piece, bytes) else piece
        if self._stops:
            self._add_text(text)
        else:
            self._unsent.append(text)
        # The first token is awaited; later ones go when the group is old enough, or would be before the next is there.
        if is_first or now_ns - self._flushed_ns + interval_ns > self._flush_interval_ns:
            self._flush(context_used)
        return bool(self.stop_text)

    def close(self, context_used: int) -> None:
        """Send what is left."""
        if not self.stop_text:
            self._add_text(self._characters.finish())
        if not self.stop_text:
            self._say(self._held)
            self._held = ""
        self._flush(context_used)

    @property
    def text(self) -> str:
        """What was said so far, without what is held back."""
        return "".join((*self._said, *self._unsent))

    @property
    def ttft_s(self) -> float | None:
        """From the command's arrival to the first token; None when none came."""
        return self.times_ns[0] / 1e9 if self.times_ns else None

    @property
    def decode_s(self) -> float:
        """From the first token to the last."""
        return (self.times_ns[-1] - self.times_ns[0]) / 1e9 if self.times_ns else 0.0

    def _add_text(self, text: str) -> None:
        held = self._held + text
        found = min(
            ((place, stop) for stop in self._stops if (place := held.find(stop)) >= 0),
            default=None,
            key=lambda each: each[0],
        )
        if found is not None:
            self.stop_text = found[1]
            self._say(held[: found[0]])
            self._held = ""
            return
        keep = next(
            (size for size in range(min(self._held_most, len(held)), 0, -1) if self._may_begin_stop(held[-size:])), 0
        )
        self._say(held[: len(held) - keep])
        self._held = held[len(held) - keep :]

    def _may_begin_stop(self, end: str) -> bool:
        return any(stop.startswith(end) for stop in self._stops)

    def _say(self, text: str) -> None:
        if text:
            self._unsent.append(text)

    def _flush(self, context_used: int) -> None:
        times = self.times_ns[self._unsent_from :]
        text = "".join(self._unsent)
        if not times and not text:
            return
        self._emit(Tokens(turn=self._turn, text=text, times_ns=tuple(times), context_used=context_used))
        self._said.append(text)
        self._unsent.clear()
        self._unsent_from = len(self.times_ns)
        self._flushed_ns = self._latest_ns
