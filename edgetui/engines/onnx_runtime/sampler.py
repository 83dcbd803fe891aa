"""Choosing a token of logits: penalties, top-k, top-p, min-p, temperature, then the draw, in llama.cpp's order.

onnxruntime-genai's own search fixes seed and settings when its cache is made, so each turn that changes one would
compute the whole conversation anew; and it knows no min-p and no presence or frequency penalty.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy
    from numpy.typing import NDArray

    from edgetui.core.run_settings import SamplingSettings


class Sampler:
    """One turn's choices; the same seed over the same logits gives the same tokens."""

    def __init__(self, settings: SamplingSettings, seed: int) -> None:
        import numpy

        self._settings = settings
        self._random = numpy.random.default_rng(seed)
        penalizes = settings.repeat_penalty != 1 or settings.presence_penalty or settings.frequency_penalty
        self.remembers = settings.repeat_last_tokens if penalizes else 0
        """Tokens of the prompt that the penalties want to know of."""
        self._recent: deque[int] = deque(maxlen=self.remembers)
        self._counts: Counter[int] = Counter()

    def accept(self, tokens: Iterable[int]) -> None:
        """Tell of tokens that the penalties shall count."""
        for token in tokens if self.remembers else ():
            if len(self._recent) == self.remembers:
                oldest = self._recent[0]
                self._counts[oldest] -= 1
                if not self._counts[oldest]:
                    del self._counts[oldest]
            self._recent.append(token)
            self._counts[token] += 1

    def sample(self, logits: NDArray[numpy.float32]) -> int:
        """The next token; `logits` may be changed. The penalties count it."""
        self._penalize(logits)
        token = int(logits.argmax()) if self._settings.temperature == 0 else self._draw(logits)
        self.accept((token,))
        return token

    def _penalize(self, logits: NDArray[numpy.float32]) -> None:
        """llama.cpp's: a repeated token's logit is divided where it is positive, else multiplied; then what it costs
        to have occurred at all, and each time."""
        if not self._counts:
            return
        import numpy

        settings = self._settings
        tokens = numpy.fromiter(self._counts.keys(), dtype=numpy.int64)
        counts = numpy.fromiter(self._counts.values(), dtype=numpy.float32)
        found = logits[tokens]
        found = numpy.where(found <= 0, found * settings.repeat_penalty, found / settings.repeat_penalty)
        logits[tokens] = found - counts * settings.frequency_penalty - settings.presence_penalty

    def _draw(self, logits: NDArray[numpy.float32]) -> int:
        import numpy

        settings = self._settings
        count = min(settings.top_k or len(logits), len(logits))
        if count < len(logits):
            least = numpy.partition(logits, len(logits) - count)[len(logits) - count]
            tokens = numpy.flatnonzero(logits >= least)
        else:
            tokens = numpy.arange(len(logits))
        # Likeliest first; of equal ones the lower token, so that a draw repeats.
        tokens = tokens[numpy.argsort(-logits[tokens], kind="stable")][:count]
        chosen = logits[tokens].astype(numpy.float64)
        if settings.top_p < 1:
            chosen = chosen[: int(numpy.searchsorted(_softmax(chosen).cumsum(), settings.top_p)) + 1]
        if settings.min_p > 0:
            chosen = chosen[chosen >= chosen[0] + numpy.log(settings.min_p)]
        drawn = self._random.choice(len(chosen), p=_softmax(chosen / settings.temperature))
        return int(tokens[drawn])


def _softmax(logits: NDArray[numpy.float64]) -> NDArray[numpy.float64]:
    import numpy

    shares = numpy.exp(logits - logits[0])
    return shares / shares.sum()
