"""Statistics of measurements, and how two sets of them compare; pure Python, no arrays."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

CONFIDENCE = 0.95
"""Of every interval."""
_MOST_FREEDOM = 200.0
"""Degrees of freedom beyond which Student's t hardly changes (1.972, the normal limit is 1.960)."""
_NORMAL_LIMIT = 1.959964
"""Standard deviations within which a normal distribution has `CONFIDENCE` of its mass."""
_STEPS = 64
"""Of Simpson's rule; gives t to five figures."""


class Ratio(msgspec.Struct, frozen=True):
    """How many times faster one set of samples is than another, with its 95 % interval."""

    ratio: float
    low: float
    high: float

    @property
    def is_shown(self) -> bool:
        """Whether the interval leaves out 1: only then is one faster than the other."""
        return not self.low <= 1 <= self.high


class Interval(msgspec.Struct, frozen=True):
    """Where a figure lies with a confidence of 95 %."""

    low: float
    high: float


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
    """`mean(a) / mean(b)` with its interval; None for fewer than two values of either, or any that is not positive.

    Welch's t interval (1947) of the difference of the means' logarithms, whose variances follow by the delta method.
    Not a bootstrap: with five repetitions of two equal models that one finds a difference in 14 of 100 comparisons,
    with two repetitions in 32, where 5 are promised; this one in 4 and 3.
    """
    if len(a) < 2 or len(b) < 2 or min(*a, *b) <= 0:
        return None
    ratio = mean(a) / mean(b)
    variance_a, variance_b = _relative_variance(a), _relative_variance(b)
    variance = variance_a + variance_b
    if variance == 0:
        return Ratio(ratio, ratio, ratio)
    freedom = variance**2 / (variance_a**2 / (len(a) - 1) + variance_b**2 / (len(b) - 1))
    factor = math.exp(student_t(freedom) * math.sqrt(variance))
    return Ratio(ratio, ratio / factor, ratio * factor)


def wilson_interval(right: int, asked: int) -> Interval:
    """95 % interval of a share of which `right` of `asked` were counted; 0 to 1 when nothing was asked.

    Wilson's score interval (1927), which unlike the normal one keeps within 0 to 1 and is no point at either end.
    """
    if asked < 1:
        return Interval(0.0, 1.0)
    share, z2 = right / asked, _NORMAL_LIMIT**2
    centre = (share + z2 / (2 * asked)) / (1 + z2 / asked)
    half = _NORMAL_LIMIT * math.sqrt(share * (1 - share) / asked + z2 / (4 * asked**2)) / (1 + z2 / asked)
    return Interval(max(0.0, centre - half), min(1.0, centre + half))


def student_t(freedom: float) -> float:
    """The t below whose absolute value Student's distribution has `CONFIDENCE` of its mass; `freedom` from 1.

    With t = sqrt(freedom) tan(angle) that mass is an integral of cos(angle) ** (freedom - 1) (Abramowitz and Stegun,
    26.7); the angle is found by halving.
    """
    freedom = min(freedom, _MOST_FREEDOM)
    scale = 2 * math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)) / math.sqrt(math.pi)
    low, high = 0.0, math.pi / 2
    for _ in range(40):
        angle = (low + high) / 2
        if scale * _integral_of_cosine(freedom - 1, angle) < CONFIDENCE:
            low = angle
        else:
            high = angle
    return math.sqrt(freedom) * math.tan(low)


def _relative_variance(values: Sequence[float]) -> float:
    """Variance of the mean over the mean's square."""
    return ((standard_deviation(values) or 0.0) / mean(values)) ** 2 / len(values)


def _integral_of_cosine(power: float, angle: float) -> float:
    """Of cos(x) ** power from 0 to `angle`, by Simpson's rule."""
    step = angle / _STEPS
    weighted = ((1 if i in (0, _STEPS) else 4 if i % 2 else 2) * math.cos(i * step) ** power for i in range(_STEPS + 1))
    return math.fsum(weighted) * step / 3
