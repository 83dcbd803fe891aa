"""One answer of a server: its stream becomes the same events as any engine's, with times of this side."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from edgetui.core.failures import EdgetuiError
from edgetui.core.server_request import request_path
from edgetui.core.units import counted
from edgetui.engines.answer_stream import AnswerStream
from edgetui.engines.server.bodies import DISPENSABLE, without
from edgetui.engines.server.chunks import Choice, Chunk, NoChunk, Timings, Usage, read_chunk
from edgetui.engines.server.failures import RefusedSetting
from edgetui.engines.server.sse import EventReader, TooLargeEvent
from edgetui.worker.protocol import Finished, Generate, PrefillProgress, PromptReady

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgetui.engines.server.kinds import ServerModel
    from edgetui.engines.server.link import Link
    from edgetui.engines.stopping import StopFlag
    from edgetui.worker.protocol import SessionEvent

MOST_SILENT_TOKENS = 1024
"""Tokens of an answer that may have no text, such as marks; any other is of a byte at least."""


class Generation:
    """Reads one stream to its end, to a stop sequence, or until it is stopped."""

    def __init__(
        self,
        link: Link,
        model: ServerModel,
        command: Generate,
        seed: int,
        arrived_ns: int,
        emit: Callable[[SessionEvent], None],
    ) -> None:
        self._link, self._model, self._command, self._seed = link, model, command, seed
        self._arrived_ns = arrived_ns
        self._emit = emit
        self._answer = AnswerStream(command, arrived_ns, emit)
        self._usage: Usage | None = None
        self._timings: Timings | None = None
        self._counted = 0
        """Tokens so far, by the server where it counts as it streams, else one a piece of text."""
        self._text_bytes = 0
        self._miscounted = 0
        """What the server counted when that could not be, and its counts were trusted no more."""
        self._prompt_tokens = 0
        self._reused_tokens = 0
        self._is_ready = False
        self._has_text = False
        self._is_thinking = False
        self._finish_reason = ""
        self._is_cut = False
        """Whether the server went on beyond the limit of tokens and was left alone."""

    def run(self, body: dict[str, Any], stop: StopFlag) -> Finished:
        """Ask and answer; raises `EdgetuiError`, what came before the failure having been sent."""
        is_stopped = False
        try:
            self._link.run(self.read(body), stop)
        except asyncio.CancelledError:
            is_stopped = True
            self._be_ready()
        finally:
            self.close()
        return self.finished("stopped" if is_stopped else "")

    async def read(self, body: dict[str, Any]) -> None:
        """Read the stream to its end; `close` and `finished` come after it.

        A server that refuses a setting that an answer can do without is asked again in other words.
        """
        path = request_path(self._command.prompt)
        while True:
            asked = without(body, self._link.refused)
            try:
                await self._read(path, asked)
                return
            except RefusedSetting as error:
                if error.name not in DISPENSABLE or error.name not in asked:
                    raise
                self._link.refused.add(error.name)

    def close(self) -> None:
        """Send what is left of the answer."""
        if self._has_text:
            self._answer.close(self._context_used)

    async def _read(self, path: str, body: dict[str, Any]) -> None:
        sentences = self._link.sentences
        reader = EventReader()
        try:
            async with self._link.stream(path, body, self._model.models) as pieces:
                async for piece in pieces:
                    for event in reader.feed(piece):
                        chunk = read_chunk(event)
                        if chunk is None:
                            return
                        self._take(chunk)
                        if self._answer.stop_text or self._is_cut:
                            return
        except (TooLargeEvent, NoChunk, EdgetuiError) as error:
            # What is lost after the end is none of the answer.
            if self._finish_reason:
                return
            if isinstance(error, TooLargeEvent):
                raise sentences.failure(
                    "network", "sends an event without end: it is not what it says it is."
                ) from error
            if isinstance(error, NoChunk):
                raise sentences.failure(
                    "network", "sent an event that is no JSON of a completion: see its log, then ask again.", str(error)
                ) from error
            raise
        if not self._finish_reason:
            # Some servers leave out [DONE]; none leaves out both.
            where = "" if reader.is_between else ", in the middle of an event"
            raise sentences.failure(
                "network", f"ended its answer before it was complete{where}: see its log, then ask again."
            )

    def _take(self, chunk: Chunk) -> None:
        if chunk.error is not None:
            self._finish_reason = ""
            raise self._link.sentences.of_words(chunk.error)
        if (progress := chunk.prompt_progress) is not None:
            self._prompt_tokens, self._reused_tokens = progress.total, progress.cache
            self._be_ready()
            done = max(progress.processed - progress.cache, 0)
            self._tell_progress(done, max(progress.total - progress.cache, done), progress.time_ms / 1e3)
        if chunk.usage is not None:
            self._usage = chunk.usage
            if chunk.usage.prompt_tokens:
                self._prompt_tokens, self._reused_tokens = chunk.usage.prompt_tokens, chunk.usage.cached_tokens
        if chunk.timings is not None:
            self._timings = chunk.timings
            self._prompt_tokens = chunk.timings.prompt_n + chunk.timings.cache_n
            self._reused_tokens = chunk.timings.cache_n
        for choice in chunk.choices[:1]:
            self._finish_reason = choice.finish_reason or self._finish_reason
            if text := self._text_of(choice):
                self._say(text)
        is_counting = self._has_text and self._model.counts_on and not (self._answer.stop_text or self._is_cut)
        if is_counting and self._counted_by_server() > self._counted:
            # The end mark is a token without text; who counts as it streams counts it too.
            self._say("")

    def _say(self, text: str) -> None:
        if not self._has_text:
            self._has_text = True
            if not self._is_ready:
                self._be_ready()
                prefill = max(self._prompt_tokens - self._reused_tokens, 0)
                self._tell_progress(prefill, prefill, (time.perf_counter_ns() - self._arrived_ns) / 1e9)
        self._text_bytes += len(text.encode("utf-8", "replace"))
        if self._model.counts_on and self._counted_by_server() > self._text_bytes + MOST_SILENT_TOKENS:
            self._miscounted = self._counted_by_server()
        is_trusted = self._model.counts_on and not self._miscounted
        # What brings no text is no piece.
        counted = (self._counted_by_server() if is_trusted else 0) or self._counted + (1 if text else 0)
        limit = self._command.sampling.max_tokens
        if limit and self._counted >= limit and counted > self._counted and not self._finish_reason:
            self._is_cut, self._finish_reason = True, "length"
            return
        # A piece may be of several tokens, or of one that an earlier piece has been counted with.
        fresh, self._counted = max(counted - self._counted, 0), max(counted, self._counted)
        self._answer.add(text, self._context_used, fresh)

    def _text_of(self, choice: Choice) -> str:
        """What is said, thoughts between the marks that models without a server write themselves."""
        if choice.delta is None:
            return choice.text or ""
        thought = choice.delta.reasoning_content or choice.delta.reasoning or ""
        said = choice.delta.content or ""
        text = ""
        if thought:
            text = thought if self._is_thinking else f"<think>\n{thought}"
            self._is_thinking = True
        if said:
            text += f"\n</think>\n\n{said}" if self._is_thinking else said
            self._is_thinking = False
        return text

    def _be_ready(self) -> None:
        if self._is_ready:
            return
        self._is_ready = True
        self._emit(
            PromptReady(
                turn=self._command.turn,
                prompt_tokens=self._prompt_tokens,
                reused_tokens=self._reused_tokens,
                seed=self._seed,
            )
        )

    def _tell_progress(self, done: int, total: int, elapsed_s: float) -> None:
        self._emit(PrefillProgress(turn=self._command.turn, done_tokens=done, total_tokens=total, elapsed_s=elapsed_s))

    def _counted_by_server(self) -> int:
        if self._timings is not None:
            return self._timings.predicted_n
        return self._usage.completion_tokens if self._usage is not None else 0

    @property
    def is_counted_here(self) -> bool:
        """Whether the server counted nothing that can be, so that each piece of text was taken for a token."""
        return bool(self._counted) and bool(self._miscounted or not self._counted_by_server())

    @property
    def _context_used(self) -> int:
        return self._prompt_tokens + self._counted

    def _reason(self) -> str:
        if self._answer.stop_text:
            return "stop_text"
        if self._finish_reason != "length":
            return "end"
        limit = self._command.sampling.max_tokens
        return "max_tokens" if limit and max(self._counted_by_server(), self._counted) >= limit else "context_full"

    def finished(self, reason: str = "") -> Finished:
        """The figures; `reason` where it was not the stream that ended it."""
        reason = reason or self._reason()
        answer, timings = self._answer, self._timings
        generated = self._counted
        remarks = []
        if self._miscounted:
            remarks.append(
                f"The server counts {self._miscounted} tokens in {self._text_bytes} bytes of text, which cannot be:"
                " each piece of text is taken for one."
            )
        elif reason not in ("stopped", "stop_text") and not self._is_cut and (told := self._counted_by_server()):
            if told != self._counted and not self._model.counts_on:
                remarks.append(
                    f"The server counts {counted(told, 'token')}, which came in {counted(self._counted, 'piece')}."
                )
            generated = told
        elif self.is_counted_here:
            remarks.append("The server did not count its tokens: each piece of text is taken for one.")
        if self._is_cut:
            limit = self._command.sampling.max_tokens
            remarks.append(f"The server went on beyond max-tokens ({limit}): edgetui ended its answer there.")
        if refused := self._link.refused - {"max_tokens"}:
            remarks.append(f"The server refuses {', '.join(sorted(refused))}, which is therefore its own.")
        if self._finish_reason == "content_filter":
            remarks.append("The server's filter ended the answer.")
        prefill_s = timings.prompt_ms / 1e3 if timings is not None else 0.0
        ttft_s = answer.ttft_s
        return Finished(
            turn=self._command.turn,
            reason=reason,
            prompt_tokens=self._prompt_tokens,
            reused_tokens=self._reused_tokens,
            prefill_tokens=max(self._prompt_tokens - self._reused_tokens, 0),
            prefill_s=min(prefill_s, ttft_s) if ttft_s is not None else prefill_s,
            ttft_s=ttft_s,
            generated_tokens=generated,
            decode_s=answer.decode_s,
            context_used=self._prompt_tokens + generated,
            context_tokens=self._model.context_tokens,
            seed=self._seed,
            stop_text=answer.stop_text,
            network_s=max(ttft_s - prefill_s, 0.0) if ttft_s is not None and timings is not None else None,
            server_decode_s=timings.predicted_ms / 1e3 if timings is not None else None,
            remarks=tuple(remarks),
        )
