"""Statistics of measurements, and how two sets of them compare; pure Python, no arrays."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

RESAMPLES = 2000
"""Of the bootstrap: its 2.5 and 97.5 percentiles then stand on fifty values each."""
_SEED = 20240229
"""Fixed, so that the same two rows always give the same interval."""


class Ratio(msgspec.Struct, frozen=True):
    """How many times faster one set of samples is than another, with its 95 % interval."""

    ratio: float
    low: float
    high: float

    @property
    def is_shown(self) -> bool:
        """Whether the interval leaves out 1: only then is one faster than the other."""
        return not self.low <= 1 <= self.high


def mean(values: Sequence[float]) -> float:
    """Arithmetic mean; raises `ValueError` for no values."""
    if not values:
        raise ValueError("no values have no mean")
    return math.fsum(values) / len(values)


def standard_deviation(values: Sequence[float]) -> float | None:
    """Sample standard deviation (n - 1 in the denominator), as llama-bench prints it; None for fewer than two."""
    if len(values) < 2:
        return None
    centre = mean(values)
    return math.sqrt(math.fsum((value - centre) ** 2 for value in values) / (len(values) - 1))


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of them lie, linear between neighbours (R's type 7, NumPy's default)."""
    if not values:
        raise ValueError("no values have no percentile")
    ordered = sorted(values)
    place = (len(ordered) - 1) * share
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def median(values: Sequence[float]) -> float:
    """The middle value."""
    return percentile(values, 0.5)


def ratio_of_means(a: Sequence[float], b: Sequence[float]) -> Ratio | None:
    """`mean(a) / mean(b)` with a bootstrap percentile interval (Efron 1979); None for fewer than two of either.

    The samples of each are drawn with replacement `RESAMPLES` times. With a handful of repetitions the interval is
    rough and rather too narrow; it says what these samples can show, no more.
    """
    if len(a) < 2 or len(b) < 2 or min(*a, *b) <= 0:
        return None
    # Imported here: its own imports would delay the start of the app.
    import random

    draw = random.Random(_SEED)
    ratios = [mean(draw.choices(a, k=len(a))) / mean(draw.choices(b, k=len(b))) for _ in range(RESAMPLES)]
    return Ratio(mean(a) / mean(b), percentile(ratios, 0.025), percentile(ratios, 0.975))
