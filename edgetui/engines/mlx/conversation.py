"""Generation by mlx-lm's model: a `CachedConversation` over its KV cache."""

from __future__ import annotations

from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

from edgetui.engines.alternatives import inspected_token
from edgetui.engines.cached_conversation import CachedConversation
from edgetui.engines.mlx.failures import told
from edgetui.engines.mlx.sampler import GpuSampler, ProcessorSampler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edgetui.core.inspection import InspectedToken
    from edgetui.engines.cached_conversation import Asked
    from edgetui.engines.mlx.decoder import Decoder
    from edgetui.engines.mlx.sampler import Sampler
    from edgetui.engines.stopping import StopFlag
    from edgetui.engines.tokenizer_vocabulary import TokenizerVocabulary

ENGINE = "MLX"
_STEP_ON_PROCESSOR = 8
"""Prompt tokens computed together without a GPU: nothing can interrupt mlx, and each takes a tenth of a second."""


class Conversation(CachedConversation):
    """The cache is the decoder's; on a GPU a token is computed ahead."""

    ENGINE = ENGINE

    def __init__(
        self,
        name: str,
        decoder: Decoder,
        vocabulary: TokenizerVocabulary,
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
        super().__init__(name, vocabulary, template, context_tokens)
        self._decoder = decoder
        self._vocabulary_size = vocabulary_size
        self._works_ahead = wired is not None
        self._wired = wired or nullcontext
        self._step = batch_tokens if self._works_ahead else min(batch_tokens, _STEP_ON_PROCESSOR)

    @property
    def length(self) -> int:
        """As the decoder counts."""
        return self._decoder.length

    def cut_back(self, length: int) -> None:
        """By the decoder."""
        self._decoder.cut_back(length)

    def drop_cache(self) -> None:
        """Its arrays are freed; new ones come with the first token."""
        self._decoder.begin_anew()

    @contextmanager
    def telling(self, doing: str) -> Iterator[None]:
        """With the weights held in a GPU's memory meanwhile."""
        with told(self._name, doing), self._wired():
            yield

    def prefill(self, asked: Asked, reused: int) -> Callable[[], str] | None:
        """In steps between which a stop is heard; the first token is chosen here too."""
        import mlx.core as mx

        def tell() -> None:
            asked.tell_prefill(self.length - reused)

        # The last one by itself, as mlx-lm does it: its logits then do not depend on how much was in the cache.
        if not self._take(len(self._tokens) - 1, tell, asked.stop):
            return None
        sampler: Sampler = (
            GpuSampler(asked.settings, asked.seed, self._vocabulary_size, self._tokens)
            if self._works_ahead
            else ProcessorSampler(asked.settings, asked.seed, self._tokens)
        )
        chosen = sampler.sample(self._decoder.logits(mx.array(self._tokens[-1:])))
        mx.eval(chosen)
        tell()
        return partial(self._decode, asked, sampler, chosen)

    def inspected(self, place: int, alternatives: int, stop: StopFlag) -> InspectedToken | None:
        """By the logits of the token before it."""
        import mlx.core as mx
        import numpy

        if not self._take(place - 1, lambda: None, stop):
            return None
        logits = self._decoder.logits(mx.array([self._tokens[place - 1]]))
        row = numpy.asarray(logits[0].astype(mx.float32))
        return inspected_token(row, self._tokens[place], alternatives, self._vocabulary)

    def _take(self, end: int, on_step: Callable[[], None], stop: StopFlag) -> bool:
        """Compute the known tokens up to `end`; False when stopped on the way."""
        while (start := self._decoder.length) < end:
            if stop.is_set:
                return False
            self._decoder.take(self._tokens[start : min(start + self._step, end)])
            on_step()
        return not stop.is_set

    def _decode(self, asked: Asked, sampler: Sampler, chosen: Any) -> str:
        """Say tokens until something ends the answer; returns the reason as `Finished` names it.

        On a GPU the next token is being computed while one is said, and cut off again where it is not wanted.
        """
        import mlx.core as mx

        while True:
            ahead = None
            if self._works_ahead and self._decoder.length < self._context_tokens:
                ahead = sampler.sample(self._decoder.logits(chosen))
                mx.async_eval(ahead)
            known = self._decoder.length - (ahead is not None)
            reason = self.say(asked, int(chosen.item()), known) or ("stopped" if asked.stop.is_set else "")
            if reason:
                self._decoder.cut_back(known)
                return reason
            chosen = ahead if ahead is not None else sampler.sample(self._decoder.logits(chosen))
