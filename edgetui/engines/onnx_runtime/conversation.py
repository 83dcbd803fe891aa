"""Generation by onnxruntime-genai over one KV cache: prefill of what is new, then token after token until an end."""

from __future__ import annotations

import random
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from edgetui.core.failures import EdgetuiError
from edgetui.engines.alternatives import inspected_token
from edgetui.engines.answer_stream import AnswerStream
from edgetui.engines.base import lacks
from edgetui.engines.numpy_sampler import Sampler
from edgetui.engines.onnx_runtime.failures import told
from edgetui.engines.onnx_runtime.genai_library import Generator, Terminated
from edgetui.engines.prompt_writer import PromptWriter
from edgetui.worker.protocol import Finished, Generate, PrefillProgress, PromptReady

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from edgetui.core.inspection import InspectedToken
    from edgetui.core.run_settings import SamplingSettings
    from edgetui.engines.onnx_runtime.genai_library import Model
    from edgetui.engines.onnx_runtime.vocabulary import Vocabulary
    from edgetui.engines.stopping import StopFlag
    from edgetui.worker.protocol import SessionEvent

_FEWEST_COMPUTED = 2
"""Of a prompt: ONNX Runtime multiplies a single row in int8, where several go in 32 bits, and logits then differ by
tenths; the same prompt must give the same logits, however much of it is in the cache."""


_INSPECTION_STOPPED = "Inspecting was stopped."


class Conversation:
    """Keeps what the KV cache holds, so that a turn computes only what is new."""

    def __init__(
        self, name: str, model: Model, vocabulary: Vocabulary, template: str, context_tokens: int, batch_tokens: int
    ) -> None:
        """`name` is what sentences call the model, `template` its chat template, empty for none."""
        self._name = name
        self._model = model
        self._vocabulary = vocabulary
        self._writer = PromptWriter(vocabulary, template, context_tokens)
        self._context_tokens = context_tokens
        self._batch_tokens = batch_tokens
        self._generator = Generator(model, context_tokens)
        self._text = ""
        """What the tokens say, as text: the next prompt usually begins with it."""
        self._tokens: list[int] = []
        """All tokens of the conversation; the last one chosen may not be computed yet."""
        self._computed = 0
        """How many of them are in the KV cache."""
        self._answer_begins = 0
        """Where in the tokens the last answer begins; 0 for none."""

    def close(self) -> None:
        """Free the cache."""
        self._generator.close()

    def warm_up(self, stop: StopFlag) -> None:
        """Run every weight once, so that the first answer does not pay for it; raises `cancelled` when stopped."""
        with told(self._name, "Running"), self._watching(stop):
            done = self._compute([0])
        self._rewind(0)
        if not done:
            raise EdgetuiError("cancelled", f"Loading {self._name} was stopped.")

    def generate(
        self, command: Generate, arrived_ns: int, emit: Callable[[SessionEvent], None], stop: StopFlag
    ) -> Finished:
        """Answer `command`, handing events to `emit`; `arrived_ns` is when it reached this process.

        Raises `EdgetuiError`: `context_overflow`, `bad_request`, `unsupported` for a grammar, `bad_file` (chat
        template, weights that compute no numbers), `out_of_memory`.
        """
        settings, turn = command.sampling, command.turn
        if settings.grammar or settings.json_schema:
            raise lacks("onnxruntime-genai", "hold an answer to a grammar or a schema here")
        text = self._writer.text(command)
        prompt = self._writer.tokens(text, self._text, self._tokens)
        self._writer.require_room(prompt)
        prompt_tokens = len(prompt)
        with told(self._name, "Running"):
            reused = self._reuse(prompt)
            seed = settings.seed if settings.seed is not None else random.getrandbits(32)
            emit(PromptReady(turn=turn, prompt_tokens=prompt_tokens, reused_tokens=reused, seed=seed))
            sampler = Sampler(settings, seed)
            sampler.accept(prompt[prompt_tokens - min(sampler.remembers, prompt_tokens) :])
            answer = AnswerStream(command, arrived_ns, emit)
            self._tokens, self._text, self._answer_begins = prompt, "", 0
            try:
                with self._watching(stop):
                    began_ns = time.perf_counter_ns()
                    whole = self._prefill(turn, reused, emit, stop)
                    prefill_s = (time.perf_counter_ns() - began_ns) / 1e9
                    prefill_tokens = self._computed - reused
                    reason = self._decode(settings, sampler, answer, stop) if whole else "stopped"
            finally:
                answer.close(self._computed)
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
            context_used=self._computed,
            context_tokens=self._context_tokens,
            seed=seed,
            stop_text=answer.stop_text,
        )

    def inspect(self, alternatives: int, stop: StopFlag) -> tuple[InspectedToken, ...]:
        """What else each token of the last answer could have been, from logits computed anew as they were.

        Raises `EdgetuiError`: `bad_request` without an answer, `cancelled`.
        """
        begins, answer = self._answer_begins, self._tokens[self._answer_begins :]
        if not begins or not answer:
            raise EdgetuiError("bad_request", "There is no answer to inspect: let the model answer first.")
        found: list[InspectedToken] = []
        with told(self._name, "Inspecting"), self._watching(stop):
            # Each token was chosen by the logits of the one before, computed as here: the prompt's end together, the
            # answer one by one. A prefill of the answer would round otherwise and tell of other choices.
            self._cut_back(max(0, begins - _FEWEST_COMPUTED))
            for end in range(begins, len(self._tokens)):
                if stop.is_set or not self._compute(self._tokens[self._computed : end]):
                    raise EdgetuiError("cancelled", _INSPECTION_STOPPED)
                try:
                    with self._generator.logits() as logits:
                        found.append(inspected_token(logits, answer[len(found)], alternatives, self._vocabulary))
                except Terminated as ended:
                    raise EdgetuiError("cancelled", _INSPECTION_STOPPED) from ended
        return tuple(found)

    # --- the cache ----------------------------------------------------------------------------------------

    def _reuse(self, prompt: Sequence[int]) -> int:
        """Cut the cache back to what it shares with `prompt`; returns how many tokens stay."""
        known = self._tokens[: self._computed]
        shared = next(
            (place for place, (a, b) in enumerate(zip(known, prompt, strict=False)) if a != b),
            min(len(known), len(prompt)),
        )
        self._cut_back(min(shared, max(0, len(prompt) - _FEWEST_COMPUTED)))
        return self._computed

    def _cut_back(self, length: int) -> None:
        """Have at most so many tokens in the cache; a cache that cannot go back begins anew."""
        if length >= self._computed:
            return
        try:
            self._rewind(length)
        except RuntimeError:
            self._begin_anew()

    def _rewind(self, length: int) -> None:
        self._generator.rewind(length)
        self._computed = length

    def _begin_anew(self) -> None:
        self._generator.close()
        self._generator = Generator(self._model, self._context_tokens)
        self._computed = 0

    def _compute(self, tokens: Sequence[int]) -> bool:
        """Run tokens through the model; False when that was ended, the cache then as before."""
        try:
            self._generator.append(tokens)
        except Terminated:
            try:
                self._rewind(self._computed)
            except RuntimeError:
                self._begin_anew()
            return False
        except BaseException:
            # Whatever it holds now, it is not what is known of it.
            self._tokens, self._text = [], ""
            with suppress(RuntimeError):
                self._begin_anew()
            raise
        self._computed += len(tokens)
        return True

    @contextmanager
    def _watching(self, stop: StopFlag) -> Iterator[None]:
        """End a run under way as soon as `stop` is set."""

        def end() -> None:
            # Whoever sets the flag can do nothing about a generator that does not end; the loops look at it too.
            with suppress(RuntimeError):
                self._generator.terminate()

        try:
            with stop.telling(end):
                yield
        finally:
            self._generator.terminate(False)

    # --- computing ----------------------------------------------------------------------------------------

    def _prefill(self, turn: int, reused: int, emit: Callable[[SessionEvent], None], stop: StopFlag) -> bool:
        """Compute what is not in the cache yet; False when stopped on the way."""
        total = len(self._tokens) - reused
        began_ns = time.perf_counter_ns()
        while (start := self._computed) < len(self._tokens):
            if stop.is_set or not self._compute(self._tokens[start : start + self._batch_tokens]):
                del self._tokens[self._computed :]
                return False
            elapsed_s = (time.perf_counter_ns() - began_ns) / 1e9
            done = self._computed - reused
            emit(PrefillProgress(turn=turn, done_tokens=done, total_tokens=total, elapsed_s=elapsed_s))
        return True

    def _decode(self, settings: SamplingSettings, sampler: Sampler, answer: AnswerStream, stop: StopFlag) -> str:
        """Choose tokens until something ends the answer; returns the reason as `Finished` names it."""
        vocabulary, limit = self._vocabulary, settings.max_tokens or None
        self._answer_begins = len(self._tokens)
        while not stop.is_set:
            try:
                with self._generator.logits() as logits:
                    token = sampler.sample(logits)
            except Terminated:
                break
            if vocabulary.ends_generation(token) and not settings.ignore_eos:
                return "end"
            self._tokens.append(token)
            if answer.add(vocabulary.piece(token), self._computed):
                return "stop_text"
            if limit is not None and len(answer.times_ns) >= limit:
                return "max_tokens"
            if self._computed + 1 > self._context_tokens:
                return "context_full"
            if not self._compute([token]):
                break
        return "stopped"
