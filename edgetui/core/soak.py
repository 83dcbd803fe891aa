"""Where a rate that was followed for minutes leaves its level, by a rule that noise does not satisfy."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from edgetui.core.statistics import mean
from edgetui.core.studies import Knee
from edgetui.core.units import format_duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetui.core.studies import SoakSample

LEAST_SAMPLES = 5
"""On either side of a knee, and no less than a tenth of all."""
LEAST_DROP = 0.03
"""Of the rate before."""
LEAST_SPREADS = 2.0
"""The drop over the standard deviation within the two levels."""
RULE = (
    f"a knee is the best split into two levels, told when the second is lower by {LEAST_DROP:.0%} or more and by"
    f" {LEAST_SPREADS:g} standard deviations or more of the samples around their levels"
)


def find_knee(samples: Sequence[SoakSample]) -> Knee | None:
    """The split into two constant levels with the least squared error, when it is a knee by `RULE`; else None."""
    rates = [sample.tps for sample in samples]
    count = len(rates)
    least = max(LEAST_SAMPLES, math.ceil(count / 10))
    if count < 2 * least:
        return None
    # Prefix sums give each split's error in constant time.
    sums, squares = [0.0], [0.0]
    for rate in rates:
        sums.append(sums[-1] + rate)
        squares.append(squares[-1] + rate * rate)

    def error(begin: int, end: int) -> float:
        total = sums[end] - sums[begin]
        return squares[end] - squares[begin] - total * total / (end - begin)

    split = min(range(least, count - least + 1), key=lambda at: error(0, at) + error(at, count))
    before, after = mean(rates[:split]), mean(rates[split:])
    spread = math.sqrt(max(0.0, error(0, split) + error(split, count)) / (count - 2))
    if before - after < max(LEAST_DROP * before, LEAST_SPREADS * spread):
        return None
    return Knee(at_s=samples[split - 1].at_s, before_tps=before, after_tps=after)


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
    for name, words in (("temperature_c", "{:.0f} to {:.0f} C"), ("others_share", "others {:.0%} to {:.0%}")):
        first = [value for sample in before if (value := getattr(sample, name)) is not None]
        last = [value for sample in after if (value := getattr(sample, name)) is not None]
        if first and last:
            told.append(words.format(mean(first), mean(last)))
    return f", while: {'; '.join(told)}" if told else ""
