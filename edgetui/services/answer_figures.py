"""The figures of one answer, out of its events: what the worker says at its end, or what was seen before it broke."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from edgetui.core.conversations import Answer
from edgetui.core.token_rate import TokenRate
from edgetui.worker.protocol import Finished, PromptReady, Tokens

if TYPE_CHECKING:
    from edgetui.worker.protocol import SessionEvent


class AnswerFigures:
    """Takes the events in order; `answer` has every figure as far as it is known."""

    def __init__(self, answer: Answer) -> None:
        """`answer` says what it is made with."""
        self._answer = answer
        self._rate = TokenRate()
        self._is_finished = False

    def take(self, event: SessionEvent) -> None:
        """The next event of the answer."""
        if isinstance(event, Tokens):
            self._rate.add(event.times_ns)
        elif isinstance(event, PromptReady):
            self._set(seed=event.seed, prompt_tokens=event.prompt_tokens, reused_tokens=event.reused_tokens)
        elif isinstance(event, Finished):
            self._is_finished = True
            shared = set(Answer.__struct_fields__) & set(Finished.__struct_fields__)
            self._set(**{name: getattr(event, name) for name in shared})

    def note_memory(self, resident_bytes: int | None) -> None:
        """What the worker holds now."""
        self._set(resident_bytes=resident_bytes)

    def ended(self, *, joules_per_token: float | None, reason: str = "", failure: str = "") -> Answer:
        """Everything, at the end; `reason` when it has none of its own."""
        rate = self._rate
        self._set(
            itl_p50_s=rate.interval_s(50),
            itl_p95_s=rate.interval_s(95),
            itl_p99_s=rate.interval_s(99),
            joules_per_token=joules_per_token,
        )
        if not self._is_finished:
            if rate.token_count and rate.ttft_s is not None:
                # Its worker had no time to say it: the times of its tokens do.
                decode_s = rate.last_ns / 1e9 - rate.ttft_s
                self._set(ttft_s=rate.ttft_s, generated_tokens=rate.token_count, decode_s=decode_s)
            self._set(reason=reason, failure=failure)
        return self._answer

    def _set(self, **values: object) -> None:
        self._answer = msgspec.structs.replace(self._answer, **values)
