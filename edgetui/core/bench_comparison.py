"""What two rows of one test show of each other, and when they show nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from edgetui.core.bench import BenchRecord, labels
from edgetui.core.bench_noise import noise_of
from edgetui.core.failures import EdgetuiError
from edgetui.core.statistics import Ratio, ratio_of_means
from edgetui.core.studies import AbResult

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from edgetui.core.studies import Study

    Turns = Mapping[tuple[str | None, tuple[int, ...], tuple[int, ...]], AbResult]
    """A/B comparisons by their job and by what A and B took in nanoseconds, as their rows have it."""


class Comparison(msgspec.Struct, frozen=True):
    """Two rows of the same test side by side."""

    first: BenchRecord
    second: BenchRecord
    ratio: Ratio | None
    """Rate of the first over the second's; None when either has fewer than two repetitions."""
    by_turns: AbResult | None = None
    """The A/B that measured both: its pairs compare them, and `ratio` is its own."""

    @property
    def sentence(self) -> str:
        """What the two rows show, honestly."""
        if self.by_turns is not None:
            return f"Measured by turns, so compared in pairs as their A/B is: {self.by_turns.sentence}"
        if self.ratio is None:
            stated = next((each.row for each in (self.first, self.second) if not each.row.samples_ns), None)
            if stated is not None:
                return (
                    f"{stated.name} of {stated.model_name} came without samples, so no interval can be told: import"
                    " llama-bench's JSON instead."
                )
            return "Each row needs two repetitions or more before they can be compared."
        records = (self.first, self.second)
        names = labels(records)
        (faster, slower), ratio = names, self.ratio
        if ratio.ratio < 1:
            faster, slower = slower, faster
            ratio = ratio.inverse
        figures = f"{ratio.ratio:.2f}x (95 % interval {ratio.low:.2f} to {ratio.high:.2f})"
        noisy = [
            f"{name} ({why})" for name, record in zip(names, records, strict=True) if (why := noise_of(record.row))
        ]
        if noisy:
            # Whatever took the processors from one row had gone, or came, when the other was measured.
            return (
                f"No difference can be told, since {' and '.join(noisy)} {'were' if len(noisy) > 1 else 'was'} measured"
                f" on a noisy machine: measure both by turns on a quiet one with edgetui bench --ab. As they are,"
                f" {faster} has {figures} the rate of {slower}."
            )
        if not ratio.is_shown:
            return f"No difference is shown: {figures}."
        told = f"{faster} is faster than {slower} by {figures}."
        one_model = self.first.row.model_name == self.second.row.model_name
        return f"{self.first.row.model_name}: {told}" if one_model else told


def turns_of(studies: Iterable[Study]) -> Turns:
    """The A/B comparisons among them, as `compare` looks for them."""
    return {
        (study.job_id, study.result.a_ns, study.result.b_ns): study.result
        for study in studies
        if study.job_id is not None and isinstance(study.result, AbResult)
    }


def compare(first: BenchRecord, second: BenchRecord, turns: Turns | None = None) -> Comparison:
    """Two rows side by side, in pairs where one of `turns` measured both; raises `EdgetuiError("bad_request")` unless
    they are of the same test."""
    if first.row.name != second.row.name:
        raise EdgetuiError(
            "bad_request",
            f"{first.row.name} and {second.row.name} are different tests: mark two rows of the same one.",
        )
    if turns and first.job_id == second.job_id:
        one, other = first.row.samples_ns, second.row.samples_ns
        if (found := turns.get((first.job_id, one, other))) is not None:
            return Comparison(first, second, found.ratio, found)
        if (found := turns.get((first.job_id, other, one))) is not None:
            return Comparison(first, second, found.ratio and found.ratio.inverse, found)
    return Comparison(first, second, ratio_of_means(first.row.samples_tps, second.row.samples_tps))


def compare_all(records: Sequence[BenchRecord], studies: Iterable[Study] = ()) -> list[Comparison]:
    """Each row against the first; raises `EdgetuiError("bad_request")` for one row, or rows of different tests."""
    if len(records) < 2:
        raise EdgetuiError("bad_request", "A comparison needs two rows or more of one test.")
    turns = turns_of(studies)
    return [compare(record, records[0], turns) for record in records[1:]]
