"""Generation by onnxruntime-genai: a `CachedConversation` over its generator."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

from edgetui.core.failures import EdgetuiError
from edgetui.engines.alternatives import inspected_token
from edgetui.engines.cached_conversation import CachedConversation
from edgetui.engines.numpy_sampler import Sampler
from edgetui.engines.onnx_runtime.failures import told
from edgetui.engines.onnx_runtime.genai_library import Generator, Terminated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from edgetui.core.inspection import InspectedToken
    from edgetui.engines.cached_conversation import Asked
    from edgetui.engines.onnx_runtime.genai_library import Model
    from edgetui.engines.stopping import StopFlag
    from edgetui.engines.tokenizer_vocabulary import TokenizerVocabulary

ENGINE = "onnxruntime-genai"


class Conversation(CachedConversation):
    """The cache is the generator's; a run under way can be ended."""

    ENGINE = ENGINE
    FEWEST_COMPUTED = 2
    """ONNX Runtime multiplies a single row in int8, where several go in 32 bits, and logits then differ by tenths; the
    same prompt must give the same logits, however much of it is in the cache."""

    def __init__(
        self,
        name: str,
        model: Model,
        vocabulary: TokenizerVocabulary,
        template: str,
        context_tokens: int,
        batch_tokens: int,
    ) -> None:
        """`name` is what sentences call the model, `template` its chat template, empty for none."""
        super().__init__(name, vocabulary, template, context_tokens)
        self._model = model
        self._batch_tokens = batch_tokens
        self._generator = Generator(model, context_tokens)
        self._computed = 0

    def close(self) -> None:
        """Free the cache."""
        self._generator.close()

    def warm_up(self, stop: StopFlag) -> None:
        """Run every weight once, so that the first answer does not pay for it; raises `cancelled` when stopped."""
        with self.telling("Running"), self.heeding(stop):
            done = self._compute([0])
        self._rewind(0)
        if not done:
            raise EdgetuiError("cancelled", f"Loading {self._name} was stopped.")

    # --- the cache ----------------------------------------------------------------------------------------

    @property
    def length(self) -> int:
        """As counted here."""
        return self._computed

    def cut_back(self, length: int) -> None:
        """By the generator, or by another one."""
        if length >= self._computed:
            return
        try:
            self._rewind(length)
        except RuntimeError:
            self._begin_anew()

    def drop_cache(self) -> None:
        """By another generator."""
        with suppress(RuntimeError):
            self._begin_anew()

    def telling(self, doing: str) -> AbstractContextManager[None]:
        """By what the libraries say."""
        return told(self._name, doing)

    @contextmanager
    def heeding(self, stop: StopFlag) -> Iterator[None]:
        """Between two operators of the graph."""

        def end() -> None:
            # Whoever sets the flag can do nothing about a generator that does not end; the loops look at it too.
            with suppress(RuntimeError):
                self._generator.terminate()

        try:
            with stop.telling(end):
                yield
        finally:
            self._generator.terminate(False)

    def _rewind(self, length: int) -> None:
        self._generator.rewind(length)
        self._computed = length

    def _begin_anew(self) -> None:
        self._generator.close()
        self._computed = 0
        self._generator = Generator(self._model, self._context_tokens)

    def _compute(self, tokens: Sequence[int]) -> bool:
        """Run tokens through the model; False when that was ended, the cache then as before."""
        if not self._generator.is_open:
            # There was no memory for another one when the last was given up; now there may be.
            self._begin_anew()
        try:
            self._generator.append(tokens)
        except Terminated:
            try:
                self._rewind(self._computed)
            except RuntimeError:
                self._begin_anew()
            return False
        self._computed += len(tokens)
        return True

    # --- computing ----------------------------------------------------------------------------------------

    def prefill(self, asked: Asked, reused: int) -> Callable[[], str] | None:
        """In batches."""
        while (start := self._computed) < len(self._tokens):
            if asked.stop.is_set or not self._compute(self._tokens[start : start + self._batch_tokens]):
                return None
            asked.tell_prefill(self._computed - reused)
        return partial(self._decode, asked)

    def inspected(self, place: int, alternatives: int, stop: StopFlag) -> InspectedToken | None:
        """By the logits after all tokens before it."""
        if not self._compute(self._tokens[self._computed : place]):
            return None
        try:
            with self._generator.logits() as logits:
                return inspected_token(logits, self._tokens[place], alternatives, self._vocabulary)
        except Terminated:
            return None

    def _decode(self, asked: Asked) -> str:
        """Choose tokens until something ends the answer; returns the reason as `Finished` names it."""
        sampler = Sampler(asked.settings, asked.seed)
        sampler.accept(self._tokens[len(self._tokens) - min(sampler.remembers, len(self._tokens)) :])
        while not asked.stop.is_set:
            try:
                with self._generator.logits() as logits:
                    token = sampler.sample(logits)
            except Terminated:
                break
            if reason := self.say(asked, token, self._computed):
                return reason
            if not self._compute([token]):
                break
        return "stopped"
