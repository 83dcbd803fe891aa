"""Where a rate that was followed for minutes leaves its level, by a rule that noise does not satisfy."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

from edgetui.core.statistics import mean
from edgetui.core.studies import Knee
from edgetui.core.units import format_duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetui.core.studies import SoakSample

LEAST_SAMPLES = 5
"""On either side of a knee."""
LEAST_DROP = 0.03
"""Of the rate before."""
LEAST_SPREADS = 2.0
"""The drop over the standard deviation within the two levels."""
LEAST_ERRORS = 7.0
"""The drop over its standard error, in which samples that follow their neighbours count for less."""
MOST_OF_A_LINE = 0.8
"""Squared error of two levels over that of a straight line, which a steady decline fits as well."""
LEAST_AROUND = 20
"""Samples to either side, where there are as many, to which a second fall may narrow the look at a knee."""
RULE = (
    f"a knee is the best split into two levels of {LEAST_SAMPLES} samples or more, told when the second is lower by"
    f" {LEAST_DROP:.0%} or more, by {LEAST_SPREADS:g} standard deviations or more of the samples around their levels"
    f" and by {LEAST_ERRORS:g} standard errors that allow for drift, and fits clearly better than a straight line"
)


def find_knee(samples: Sequence[SoakSample]) -> Knee | None:
    """The split into two constant levels with the least squared error, when it is a knee by `RULE`; else None.

    The drop must be there in the whole series, and by all of the rule around the split: in as many samples to one side
    as to the other, or in fewer of them (halved, down to `LEAST_AROUND`), so that a second fall hides no first one.
    """
    rates = [sample.tps for sample in samples]
    count = len(rates)
    if count < 2 * LEAST_SAMPLES:
        return None
    # Prefix sums give each split's error in constant time.
    sums, squares = [0.0], [0.0]
    for rate in rates:
        sums.append(sums[-1] + rate)
        squares.append(squares[-1] + rate * rate)

    def error(begin: int, end: int) -> float:
        total = sums[end] - sums[begin]
        return squares[end] - squares[begin] - total * total / (end - begin)

    splits = range(LEAST_SAMPLES, count - LEAST_SAMPLES + 1)
    split = min(splits, key=lambda at: error(0, at) + error(at, count))
    spread = math.sqrt(max(0.0, error(0, split) + error(split, count)) / (count - 2))
    if _is_too_little(mean(rates[:split]), mean(rates[split:]), spread):
        return None
    around = max(min(split, count - split), 2 * LEAST_SAMPLES)
    while True:
        before, after = rates[max(0, split - around) : split], rates[split : split + around]
        if _is_knee(before, after):
            return Knee(at_s=samples[split - 1].at_s, before_tps=mean(before), after_tps=mean(after))
        around //= 2
        if around < LEAST_AROUND:
            return None


def _is_too_little(before: float, after: float, spread: float) -> bool:
    return before - after < max(LEAST_DROP * before, LEAST_SPREADS * spread)


def _is_knee(before: Sequence[float], after: Sequence[float]) -> bool:
    """Whether the rule holds for these.

    The standard error is `sd * sqrt((1 + r) / (1 - r) * (1/n1 + 1/n2))`, where r is the lag-1 autocorrelation of what
    the levels leave over (as of an AR(1) process), with 4/n added for the bias that fitting the levels gives it.
    """
    count, high, low = len(before) + len(after), mean(before), mean(after)
    left_over = [rate - high for rate in before] + [rate - low for rate in after]
    power = sum(each * each for each in left_over)
    spread = math.sqrt(power / (count - 2))
    if _is_too_little(high, low, spread) or power > MOST_OF_A_LINE * _line_error([*before, *after]):
        return False
    follows = sum(first * second for first, second in pairwise(left_over)) / power if power else 0.0
    follows = min(0.99, max(0.0, follows + 4 / count))
    drop_error = spread * math.sqrt((1 + follows) / (1 - follows) * (1 / len(before) + 1 / len(after)))
    return high - low >= LEAST_ERRORS * drop_error


def _line_error(rates: Sequence[float]) -> float:
    """Squared error of the straight line that fits best."""
    count, centre, level = len(rates), (len(rates) - 1) / 2, mean(rates)
    slope = sum((at - centre) * rate for at, rate in enumerate(rates)) * 12 / (count * (count * count - 1))
    return sum((rate - level - slope * (at - centre)) ** 2 for at, rate in enumerate(rates))


def cut_sentence(samples: Sequence[SoakSample], duration_s: float, why: str) -> str:
    """That a soak has ended before its time, and why."""
    lasted = format_duration(samples[-1].at_s if samples else 0.0)
    return f"Cut short after {lasted} of {format_duration(duration_s)}: {why.rstrip('.')}."


def soak_sentence(samples: Sequence[SoakSample], knee: Knee | None) -> str:
    """What a soak shows, in a sentence or two."""
    if not samples:
        return "Nothing was decoded in the time."
    if len(samples) < 2 * LEAST_SAMPLES:
        return f"{len(samples)} samples are too few to tell a knee: soak for longer."
    mean_tps = mean([sample.tps for sample in samples])
    if knee is None:
        lowest = min(sample.tps for sample in samples)
        return (
            f"No knee in {format_duration(samples[-1].at_s)}: {mean_tps:.2f} tok/s on average, {lowest:.2f} at the"
            f" lowest ({RULE})."
        )
    drop = 1 - knee.after_tps / knee.before_tps
    beside = _beside(samples, knee)
    return (
        f"After {format_duration(knee.at_s)} the rate falls by {drop:.0%}, from {knee.before_tps:.2f} to"
        f" {knee.after_tps:.2f} tok/s{beside} ({RULE})."
    )


def _beside(samples: Sequence[SoakSample], knee: Knee) -> str:
    """What the machine told around the knee, which need not be its cause."""
    before = [sample for sample in samples if sample.at_s <= knee.at_s]
    after = [sample for sample in samples if sample.at_s > knee.at_s]
    told = []
    if signs := dict.fromkeys(sign for sample in after for sign in sample.throttled or ()):
        told.append(f"throttled by {', '.join(signs)}")
    figures = (
        ("temperature_c", "{:.0f} to {:.0f} C"),
        ("watts", "{:.3g} to {:.3g} W"),
        ("others_share", "others {:.0%} to {:.0%}"),
    )
    for name, words in figures:
        first = [value for sample in before if (value := getattr(sample, name)) is not None]
        last = [value for sample in after if (value := getattr(sample, name)) is not None]
        if first and last:
            told.append(words.format(mean(first), mean(last)))
    return f", while: {'; '.join(told)}" if told else ""
