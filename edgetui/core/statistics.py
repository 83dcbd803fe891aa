"""Statistics of measurements, and how two sets of them compare; pure Python, no arrays."""

from __future__ import annotations

import math
import random
from functools import lru_cache
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
_NORMAL_SCALE = 1.4826
"""A normal distribution's standard deviation over its MAD."""
BOOTSTRAP_DRAWS = 2000
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

    @property
    def inverse(self) -> Ratio:
        """The same the other way round."""
        return Ratio(1 / self.ratio, 1 / self.high, 1 / self.low)


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


def median_deviation(values: Sequence[float]) -> float | None:
    """Median of the distances from the median (MAD), unscaled; None for fewer than two values."""
    if len(values) < 2:
        return None
    centre = median(values)
    return median([abs(value - centre) for value in values])


def outliers(values: Sequence[float], scales: float) -> tuple[int, ...]:
    """Indexes of values further than `scales` scaled MADs from the median; none among fewer than four values.

    The MAD times 1.4826 is a normal distribution's standard deviation. Where half of the values are equal it is 0 and
    says nothing of the others, so none is told.
    """
    deviation = median_deviation(values)
    if len(values) < 4 or not deviation:
        return ()
    centre = median(values)
    limit = scales * _NORMAL_SCALE * deviation
    return tuple(index for index, value in enumerate(values) if abs(value - centre) > limit)


def interval_share(values: Sequence[float]) -> float | None:
    """Half the width of the mean's 95 % interval (Student's t) over the mean; None for fewer than two values."""
    deviation = standard_deviation(values)
    if deviation is None or not (centre := mean(values)):
        return None
    return student_t(len(values) - 1) * deviation / math.sqrt(len(values)) / abs(centre)


def bootstrap_ratio(a: Sequence[float], b: Sequence[float], seed: int, draws: int = BOOTSTRAP_DRAWS) -> Ratio | None:
    """Geometric mean of the paired ratios `a[i] / b[i]` with a bootstrap interval; None for fewer than two pairs.

    Pairs, measured one right after the other, are drawn together with replacement, so that what the machine did in the
    meantime falls on both. The percentiles of the drawn means are too narrow for few pairs, since a bootstrap's spread
    is sqrt((n - 1) / n) of the sample's and normal, not Student's: their distances from the mean are stretched by
    t(n - 1) / z * sqrt(n / (n - 1)) (the expanded percentile interval of Hesterberg, 2015, for the logarithm). Of two
    pairs the percentiles are the pairs themselves, one standard error from their mean, and t(1) is the whole stretch.
    """
    if len(a) != len(b) or len(a) < 2 or min(*a, *b) <= 0:
        return None
    logs = [math.log(first / second) for first, second in zip(a, b, strict=True)]
    count, centre = len(logs), mean(logs)
    chosen = random.Random(seed)
    drawn = sorted(math.fsum(chosen.choices(logs, k=count)) / count for _ in range(draws))
    stretch = student_t(1) if count == 2 else student_t(count - 1) / _NORMAL_LIMIT * math.sqrt(count / (count - 1))
    tail = (1 - CONFIDENCE) / 2
    low, high = (centre + stretch * (percentile(drawn, share) - centre) for share in (tail, 1 - tail))
    return Ratio(math.exp(centre), math.exp(low), math.exp(high))


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


def ratio_to_means(values: Sequence[float], means: Sequence[float]) -> Ratio | None:
    """`mean(values) / mean(means)` where `means` are of earlier sets; its interval leaves out 1 in 5 of 100 cases where
    nothing changed but what differs from set to set anyway.

    The half width is that of the prediction interval of a further mean, t(k - 1) * s * sqrt(1 + 1/k) with s the
    standard deviation of the k means, and that of the interval of the values' own mean, as the root of their squares;
    both of logarithms by the delta method. None for fewer than two of either, or any that is not positive.
    """
    if len(values) < 2 or len(means) < 2 or min(*values, *means) <= 0:
        return None
    ratio, count = mean(values) / mean(means), len(means)
    # `_relative_variance` is of the mean: k times that is of one of them.
    further = student_t(count - 1) ** 2 * _relative_variance(means) * (count + 1)
    own = student_t(len(values) - 1) ** 2 * _relative_variance(values)
    factor = math.exp(math.sqrt(further + own))
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


@lru_cache(maxsize=256)
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
