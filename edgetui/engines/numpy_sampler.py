"""Choosing a token of logits: penalties, top-k, top-p, min-p, temperature, then the draw, in llama.cpp's order.

onnxruntime-genai's own search fixes seed and settings when its cache is made, so each turn that changes one would
compute the whole conversation anew; and it knows no min-p and no presence or frequency penalty.
"""

from __future__ import annotations

from collections import Counter, deque
from math import isfinite
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy
    from numpy.typing import NDArray

    from edgetui.core.run_settings import SamplingSettings

_PIECE = 32
_FIRST_TRY = 1024
"""Likeliest tokens among which top-p usually ends."""


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
        """The next token; `logits` may be changed. The penalties count it.

        Raises FloatingPointError where logits are no numbers, since then any token would be as good.
        """
        self._penalize(logits)
        # A NaN is the largest to numpy, so this one look finds what a look at all would; an engine's logits are not in
        # the processor's cache, and each pass over them costs what a small model takes for a layer.
        token = int(logits.argmax())
        if not isfinite(logits[token]):
            raise FloatingPointError("The logits are no numbers.")
        if self._settings.temperature > 0:
            token = self._draw(logits)
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
        tokens, total = self._candidates(logits)
        chosen = logits[tokens].astype(numpy.float64)
        if settings.top_p < 1:
            reached = numpy.exp(chosen - chosen[0]).cumsum()
            kept = int(numpy.searchsorted(reached, settings.top_p * (total or reached[-1]))) + 1
            chosen = chosen[:kept]
        if settings.min_p > 0:
            chosen = chosen[chosen >= chosen[0] + numpy.log(settings.min_p)]
        reached = numpy.exp((chosen - chosen.max()) / settings.temperature).cumsum()
        drawn = int(numpy.searchsorted(reached, self._random.random() * reached[-1], side="right"))
        return int(tokens[min(drawn, len(chosen) - 1)])

    def _candidates(self, logits: NDArray[numpy.float32]) -> tuple[NDArray[numpy.int64], float | None]:
        """Tokens to choose among, likeliest first where an order is needed, and the sum that their shares are of.

        Sorting a whole vocabulary takes longer than a small model takes for a token, so it is the last resort. The sum
        is of exponentials beside the likeliest token's; None where it is that of the tokens given.
        """
        import numpy

        settings = self._settings
        if 0 < settings.top_k < len(logits):
            return _largest(logits, settings.top_k), None
        if settings.top_p == 1 and settings.min_p == 0:
            return numpy.arange(len(logits)), None
        most = logits.max()
        shares = numpy.exp(logits - most)
        total = float(shares.sum(dtype=numpy.float64))
        if settings.min_p > 0:
            # What min-p leaves of all is what it leaves of what top-p leaves, since both cut off the tail.
            return _sorted(logits, numpy.flatnonzero(logits >= most + numpy.log(settings.min_p))), total
        likeliest = _largest(logits, min(_FIRST_TRY, len(logits)))
        if float(shares[likeliest].sum(dtype=numpy.float64)) < settings.top_p * total:
            likeliest = _sorted(logits, numpy.arange(len(logits)))
        return likeliest, total


def _largest(logits: NDArray[numpy.float32], count: int) -> NDArray[numpy.int64]:
    """Places of the largest, in falling order.

    At least `count` numbers reach the count-th largest of the maxima of pieces, so only what reaches that is sorted.
    """
    import numpy

    pieces = len(logits) // _PIECE
    found = numpy.arange(len(logits))
    if pieces > count:
        maxima = logits[: pieces * _PIECE].reshape(pieces, _PIECE).max(axis=1)
        found = numpy.flatnonzero(logits >= numpy.partition(maxima, pieces - count)[pieces - count])
    return _sorted(logits, found)[:count]


def _sorted(logits: NDArray[numpy.float32], places: NDArray[numpy.int64]) -> NDArray[numpy.int64]:
    """By falling logit; of equal ones the lower token first, so that a draw repeats."""
    import numpy

    return places[numpy.argsort(-logits[places], kind="stable")]
