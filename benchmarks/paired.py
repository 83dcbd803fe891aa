"""Two programs in turn, round after round, and the figure of their ratio.

The machines this runs on change their speed by a third within minutes, which puts the medians of two series into
different minutes, while both measurements of a round are seconds apart: so the figure is the median of the rounds' own
ratios. One process is up to 15 % faster than its twin for as long as it lives, so each measurement has its own, and
medians of 15 rounds came out anywhere from 0.94 to 1.03 for the same two programs: rounds are many.
"""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.report import Result
from edgetui.core.statistics import bootstrap_ratio

if TYPE_CHECKING:
    from collections.abc import Callable


class Rates(NamedTuple):
    """tok/s of each round."""

    ours: list[float]
    theirs: list[float]


def in_turn(rounds: int, ours: Callable[[], float], theirs: Callable[[], float], label: str) -> Rates:
    """Alternate both; each takes the lead in every other round. `label` begins a line of progress."""
    rates = Rates([], [])
    for number in range(rounds):
        if number % 2:
            rates.theirs.append(theirs())
        rates.ours.append(ours())
        if not number % 2:
            rates.theirs.append(theirs())
        print(f"{label}, round {number + 1}: {rates.ours[-1]:.1f} over {rates.theirs[-1]:.1f} tok/s", flush=True)
    return rates


def ratio_result(name: str, rates: Rates, bar: float, conditions: str) -> Result:
    """The median of the rounds' ratios against its bar, with an interval of their geometric mean."""
    ratios = [one / other for one, other in zip(rates.ours, rates.theirs, strict=True)]
    interval = bootstrap_ratio(rates.ours, rates.theirs, seed=0)
    assert interval is not None
    return Result(
        name,
        statistics.median(ratios),
        "",
        bar,
        "higher",
        (
            f"{len(ratios)} rounds in turn, {conditions}",
            f"geometric mean {interval.ratio:.3f}, 95 % interval {interval.low:.3f} to {interval.high:.3f}",
            f"edgetui {_summary(rates.ours)}",
            f"the other {_summary(rates.theirs)}",
        ),
    )


def _summary(rates: list[float]) -> str:
    """`median 171.2 tok/s (168.0 to 173.9)`."""
    return f"median {statistics.median(rates):.1f} tok/s ({min(rates):.1f} to {max(rates):.1f})"
