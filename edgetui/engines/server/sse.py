"""Server-sent events out of a stream of bytes, in bounded memory."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_EVENT_BYTES = 4 * 1024 * 1024
"""An event of one token takes some hundred bytes; with a page of alternatives some ten thousand."""


class Event(NamedTuple):
    """One event: what was said in its `data` lines, and whether it came as an `error` field of its own."""

    data: bytes
    is_error: bool = False


class TooLargeEvent(Exception):
    """An event went on beyond `MOST_EVENT_BYTES`."""


class EventReader:
    """Bytes in, whole events out; comments and fields that nobody needs are dropped.

    Lines end with LF, CRLF or CR (https://html.spec.whatwg.org/multipage/server-sent-events.html). An event is told
    when the empty line after it has come: half an event at the end of a stream is none.
    """

    def __init__(self) -> None:
        self._rest = bytearray()
        self._data = bytearray()
        """Of the event that is not whole yet, a newline after each line."""
        self._is_error = False
        self._is_first = True
        self._ended_with_cr = False

    def feed(self, piece: bytes) -> Iterator[Event]:
        """The events that `piece` completes, one by one; raises `TooLargeEvent` after those before such a one."""
        if self._ended_with_cr and piece:
            self._ended_with_cr = False
            piece = piece.removeprefix(b"\n")
        if piece:
            self._ended_with_cr = piece.endswith(b"\r")
        if b"\n" not in piece and b"\r" not in piece:
            self._rest += piece
            self._check(len(self._rest))
            return
        self._rest += piece
        text = bytes(self._rest).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, rest = text.split(b"\n")
        self._rest = bytearray(rest)
        for line in lines:
            if (event := self._take(line)) is not None:
                yield event
        self._check(len(rest))

    @property
    def is_between(self) -> bool:
        """Whether nothing of an event has come that is not told yet."""
        return not self._data and not self._rest.strip()

    def _take(self, line: bytes) -> Event | None:
        if self._is_first:
            self._is_first = False
            line = line.removeprefix(codecs.BOM_UTF8)
        if not line:
            event = Event(bytes(self._data[:-1]), self._is_error) if self._data else None
            self._data, self._is_error = bytearray(), False
            return event
        field, _, value = line.partition(b":")
        if field in (b"data", b"error"):
            self._data += value.removeprefix(b" ") + b"\n"
            self._check(len(self._data))
            # An older llama-server says what went wrong in a field of this name.
            self._is_error = self._is_error or field == b"error"
        return None

    def _check(self, size: int) -> None:
        if size > MOST_EVENT_BYTES:
            raise TooLargeEvent
