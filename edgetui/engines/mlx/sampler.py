"""Choosing tokens: by mlx-lm's own samplers and penalties on a GPU, by numpy's on a processor.

mlx sorts a vocabulary of 49,152 on a processor in about as long as it takes for a token of a small model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from edgetui.engines import numpy_sampler

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetui.core.run_settings import SamplingSettings


class Sampler(Protocol):
    """One answer's choices."""

    def sample(self, logits: Any) -> Any:
        """The token chosen from logits of one position (1, vocabulary), as an array of one."""


class ProcessorSampler:
    """Chooses as onnxruntime-genai's models do, in llama.cpp's order."""

    def __init__(self, settings: SamplingSettings, seed: int, prompt: Sequence[int]) -> None:
        self._sampler = numpy_sampler.Sampler(settings, seed)
        self._sampler.accept(prompt[len(prompt) - min(self._sampler.remembers, len(prompt)) :])

    def sample(self, logits: Any) -> Any:
        """Known at once."""
        import mlx.core as mx
        import numpy

        # A copy: penalties are written into it.
        return mx.array([self._sampler.sample(numpy.array(logits[0].astype(mx.float32)))])


class GpuSampler:
    """Chooses from logits, and remembers as much of the conversation as the penalties look back on.

    Everything stays in mlx: a token that is chosen need not be known before the next one is being computed. mlx-lm's
    order differs from llama.cpp's: top-p, min-p, top-k, then temperature.
    """

    def __init__(self, settings: SamplingSettings, seed: int, vocabulary_size: int, prompt: Sequence[int]) -> None:
        import mlx.core as mx
        from mlx_lm.sample_utils import make_logits_processors, make_sampler

        mx.random.seed(seed)
        self._choose = make_sampler(
            temp=settings.temperature,
            top_p=settings.top_p,
            min_p=settings.min_p,
            top_k=settings.top_k if settings.top_k < vocabulary_size else 0,
        )
        span = settings.repeat_last_tokens
        self._penalties: list[Any] = []
        if span:
            self._penalties = make_logits_processors(
                # 1 multiplies by nothing.
                repetition_penalty=settings.repeat_penalty if settings.repeat_penalty != 1 else None,
                repetition_context_size=span,
                presence_penalty=settings.presence_penalty,
                presence_context_size=span,
                frequency_penalty=settings.frequency_penalty,
                frequency_context_size=span,
            )
        self._span = span
        self._recent: Any = mx.array(list(prompt[-span:]) if self._penalties else [], dtype=mx.int32)

    def sample(self, logits: Any) -> Any:
        """Known when somebody looks at it."""
        import mlx.core as mx

        logits = logits.astype(mx.float32)
        for penalty in self._penalties:
            logits = penalty(self._recent, logits)
        token = self._choose(logits - mx.logsumexp(logits, axis=-1, keepdims=True))
        if self._penalties:
            self._recent = mx.concatenate([self._recent, token.astype(mx.int32)])[-self._span :]
        return token
