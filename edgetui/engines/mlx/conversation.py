"""Generation by mlx-lm's model over one KV cache: prefill of what is new, then token after token until an end."""

from __future__ import annotations

import random
import time
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from edgetui.core.failures import EdgetuiError
from edgetui.engines.alternatives import inspected_token
from edgetui.engines.answer_stream import AnswerStream
from edgetui.engines.base import lacks
from edgetui.engines.mlx.failures import told
from edgetui.engines.mlx.sampler import GpuSampler, ProcessorSampler
from edgetui.engines.prompt_writer import PromptWriter
from edgetui.worker.protocol import Finished, Generate, PrefillProgress, PromptReady

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edgetui.core.inspection import InspectedToken
    from edgetui.engines.mlx.decoder import Decoder
    from edgetui.engines.mlx.sampler import Sampler
    from edgetui.engines.mlx.vocabulary import Vocabulary
    from edgetui.engines.stopping import StopFlag
    from edgetui.worker.protocol import SessionEvent

_STEP_ON_PROCESSOR = 8
"""Prompt tokens computed together without a GPU: nothing can interrupt mlx, and each takes a tenth of a second."""


class Conversation:
    """Keeps what the KV cache holds, so that a turn computes only what is new."""

    def __init__(
        self,
        name: str,
        decoder: Decoder,
        vocabulary: Vocabulary,
        template: str,
        *,
        context_tokens: int,
        batch_tokens: int,
        vocabulary_size: int,
        wired: Callable[[], AbstractContextManager[Any]] | None,
    ) -> None:
        """`name` is what sentences call the model, `template` its chat template, empty for none.

        `wired` holds the weights in a GPU's memory while something is computed; None without a GPU, and then no
        token is computed before the one before it is known.
        """
        self._name = name
        self._decoder = decoder
        self._vocabulary = vocabulary
        self._writer = PromptWriter(vocabulary, template, context_tokens)
        self._context_tokens = context_tokens
        self._vocabulary_size = vocabulary_size
        self._works_ahead = wired is not None
        self._wired = wired or nullcontext
        self._step = batch_tokens if self._works_ahead else min(batch_tokens, _STEP_ON_PROCESSOR)
        self._text = ""
        """What the tokens say, as text: the next prompt usually begins with it."""
        self._tokens: list[int] = []
        """All tokens of the conversation; the last one chosen may not be computed yet."""
        self._answer_begins = 0
        """Where in the tokens the last answer begins; 0 for none."""

    def generate(
        self, command: Generate, arrived_ns: int, emit: Callable[[SessionEvent], None], stop: StopFlag
    ) -> Finished:
        """Answer `command`, handing events to `emit`; `arrived_ns` is when it reached this process.

        Raises `EdgetuiError`: `context_overflow`, `bad_request`, `unsupported` for a grammar, `bad_file` (chat
        template), `out_of_memory`.
        """
        settings, turn = command.sampling, command.turn
        if settings.grammar or settings.json_schema:
            raise lacks("MLX", "hold an answer to a grammar or a schema")
        text = self._writer.text(command)
        prompt = self._writer.tokens(text, self._text, self._tokens)
        self._writer.require_room(prompt)
        prompt_tokens = len(prompt)
        answer = AnswerStream(command, arrived_ns, emit)
        with told(self._name, "Running"), self._wired():
            reused = self._reuse(prompt)
            seed = settings.seed if settings.seed is not None else random.getrandbits(32)
            emit(PromptReady(turn=turn, prompt_tokens=prompt_tokens, reused_tokens=reused, seed=seed))
            self._tokens, self._text, self._answer_begins = prompt, text, 0
            whole, reason, prefill_s, prefill_tokens = False, "stopped", 0.0, 0
            try:
                began_ns = time.perf_counter_ns()
                first = self._prefill(command, seed, reused, emit, stop)
                prefill_s = (time.perf_counter_ns() - began_ns) / 1e9
                prefill_tokens = self._decoder.length - reused
                if first is not None:
                    whole = True
                    reason = self._decode(command, *first, answer, stop)
            except BaseException:
                # What the cache holds now is not known.
                self._decoder.cut_back(0)
                self._tokens, self._text, self._answer_begins = [], "", 0
                raise
            finally:
                answer.close(self._decoder.length)
        # What a stop sequence cut off stands in the tokens all the same.
        self._text = text + answer.text if whole and not answer.stop_text else ""
        return Finished(
            turn=turn,
            reason=reason,
            prompt_tokens=prompt_tokens,
            reused_tokens=reused,
            prefill_tokens=prefill_tokens,
            prefill_s=prefill_s,
            ttft_s=answer.ttft_s,
            generated_tokens=len(answer.times_ns),
            decode_s=answer.decode_s,
            context_used=self._decoder.length,
            context_tokens=self._context_tokens,
            seed=seed,
            stop_text=answer.stop_text,
        )

    def inspect(self, alternatives: int, stop: StopFlag) -> tuple[InspectedToken, ...]:
        """What else each token of the last answer could have been, from logits computed anew as they were.

        Raises `EdgetuiError`: `bad_request` without an answer, `cancelled`.
        """
        import mlx.core as mx
        import numpy

        begins, tokens = self._answer_begins, self._tokens
        if not begins or begins == len(tokens):
            raise EdgetuiError("bad_request", "There is no answer to inspect: let the model answer first.")
        found: list[InspectedToken] = []
        with told(self._name, "Inspecting"), self._wired():
            # One by one, as they were generated: together they round otherwise and tell of other choices.
            self._decoder.cut_back(begins - 1)
            self._take(begins - 1, lambda: None, stop)
            for place in range(begins, len(tokens)):
                if stop.is_set:
                    raise EdgetuiError("cancelled", "Inspecting was stopped.")
                logits = self._decoder.logits(mx.array([tokens[place - 1]]))
                row = numpy.asarray(logits[0].astype(mx.float32))
                found.append(inspected_token(row, tokens[place], alternatives, self._vocabulary))
        return tuple(found)

    # --- computing ----------------------------------------------------------------------------------------

    def _reuse(self, prompt: Sequence[int]) -> int:
        """Cut the cache back to what it shares with `prompt`; returns how many tokens stay."""
        known = self._tokens[: self._decoder.length]
        shared = next(
            (place for place, (a, b) in enumerate(zip(known, prompt, strict=False)) if a != b),
            min(len(known), len(prompt)),
        )
        self._decoder.cut_back(min(shared, len(prompt) - 1))
        return self._decoder.length

    def _take(self, end: int, on_step: Callable[[], None], stop: StopFlag) -> bool:
        """Compute the known tokens up to `end`; False when stopped on the way."""
        while (start := self._decoder.length) < end:
            if stop.is_set:
                return False
            self._decoder.take(self._tokens[start : min(start + self._step, end)])
            on_step()
        return not stop.is_set

    def _prefill(
        self, command: Generate, seed: int, reused: int, emit: Callable[[SessionEvent], None], stop: StopFlag
    ) -> tuple[Sampler, Any] | None:
        """Compute what is not in the cache yet, and choose the first token; None when stopped on the way."""
        import mlx.core as mx

        total = len(self._tokens) - reused
        began_ns = time.perf_counter_ns()

        def tell() -> None:
            done, elapsed_s = self._decoder.length - reused, (time.perf_counter_ns() - began_ns) / 1e9
            emit(PrefillProgress(turn=command.turn, done_tokens=done, total_tokens=total, elapsed_s=elapsed_s))

        # The last one by itself, as mlx-lm does it: its logits then do not depend on how much was in the cache.
        if not self._take(len(self._tokens) - 1, tell, stop):
            del self._tokens[self._decoder.length :]
            return None
        sampler: Sampler = (
            GpuSampler(command.sampling, seed, self._vocabulary_size, self._tokens)
            if self._works_ahead
            else ProcessorSampler(command.sampling, seed, self._tokens)
        )
        chosen = sampler.sample(self._decoder.logits(mx.array(self._tokens[-1:])))
        mx.eval(chosen)
        tell()
        return sampler, chosen

    def _decode(self, command: Generate, sampler: Sampler, chosen: Any, answer: AnswerStream, stop: StopFlag) -> str:
        """Say tokens until something ends the answer; returns the reason as `Finished` names it.

        On a GPU the next token is being computed while one is said, and cut off again where it is not wanted.
        """
        import mlx.core as mx

        settings, vocabulary = command.sampling, self._vocabulary
        limit = settings.max_tokens or None
        self._answer_begins = len(self._tokens)
        while True:
            ahead = None
            if self._works_ahead and self._decoder.length < self._context_tokens:
                ahead = sampler.sample(self._decoder.logits(chosen))
                mx.async_eval(ahead)
            known = self._decoder.length - (ahead is not None)
            token = int(chosen.item())
            reason = ""
            if vocabulary.ends_generation(token) and not settings.ignore_eos:
                reason = "end"
            else:
                self._tokens.append(token)
                if answer.add(vocabulary.piece(token), known):
                    reason = "stop_text"
                elif limit is not None and len(answer.times_ns) >= limit:
                    reason = "max_tokens"
                elif known + 1 > self._context_tokens:
                    reason = "context_full"
                elif stop.is_set:
                    reason = "stopped"
            if reason:
                self._decoder.cut_back(known)
                return reason
            chosen = ahead if ahead is not None else sampler.sample(self._decoder.logits(chosen))
