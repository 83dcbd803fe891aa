"""One measurement over time: rows of the same model, test, settings and machine, and whether the newest is slower."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal, NamedTuple

from edgetui.core.bench_identity import belong
from edgetui.core.bench_noise import noise_of
from edgetui.core.statistics import Ratio, ratio_to_means

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetui.core.bench import BenchRecord

MOST_BEFORE = 5
"""Quiet rows before the newest that it is held against: older ones may be of another system altogether."""
LEAST_BEFORE = 3
"""Quiet rows before the newest below which nothing is said: fewer hardly tell how far rows differ when nothing changed.
"""
Verdict = Literal["slower", "faster", "same", "noisy", "unknown"]


class Regression(NamedTuple):
    """What the newest row of a trend says against those before it."""

    record: BenchRecord
    before: tuple[BenchRecord, ...]
    """Those it was held against, oldest first."""
    ratio: Ratio | None
    """Rate of the newest over the mean of those before it; None where nothing is said."""
    verdict: Verdict
    sentence: str


def belongs(first: BenchRecord, second: BenchRecord) -> bool:
    """Whether two rows are one measurement made twice: only the time and the engine's version may differ.

    What a row of an older edgetui does not say is not held against it.
    """
    a, b = first.row, second.row
    return (
        group(first) == group(second)
        and _alike(a.fingerprint, b.fingerprint)
        and _alike(a.model_size_bytes, b.model_size_bytes)
        and belong(a, b)
        and _alike(first.machine.physical_cores, second.machine.physical_cores)
        and _alike(first.machine.memory_bytes, second.machine.memory_bytes)
    )


def group(record: BenchRecord) -> tuple[str | int, ...]:
    """What rows that belong together surely share."""
    row = record.row
    return (
        *(row.model_name, row.model_quant_type, row.name, row.engine, row.backend, row.source),
        *(row.threads, row.batch_tokens, row.kv_cache_type, record.machine.cpu),
    )


def trend_of(record: BenchRecord, records: Sequence[BenchRecord]) -> list[BenchRecord]:
    """Rows that belong to this one, itself among them, oldest first."""
    found = [other for other in records if other.record_id == record.record_id or belongs(other, record)]
    return sorted(found, key=_age)


def judge(trend: Sequence[BenchRecord]) -> Regression | None:
    """The newest row (the last) against the quiet ones before it; None for a trend of one row.

    This is the rule: slower (or faster) is a row that lies outside the range in which, by the means of `LEAST_BEFORE`
    to `MOST_BEFORE` quiet rows before it, a further row lies in 95 of 100 cases (`ratio_to_means`). Rows differ among
    themselves by more than their repetitions do, so the rows' means are what counts, not the pool of their repetitions.
    Of a noisy newest row, and after fewer rows, nothing is said.
    """
    if len(trend) < 2:
        return None
    newest = trend[-1]
    name = f"{newest.row.model_name} {newest.row.name}"
    if reason := noise_of(newest.row):
        told = f"{name}: nothing is said of a change, since the newest row was measured on a noisy machine: {reason}."
        return Regression(newest, (), None, "noisy", told)
    before = tuple(record for record in trend[:-1] if not noise_of(record.row))[-MOST_BEFORE:]
    if not before:
        told = f"{name}: nothing is said of a change, since all rows before were measured on a noisy machine."
        return Regression(newest, (), None, "noisy", told)
    if len(before) < LEAST_BEFORE:
        told = (
            f"{name}: nothing is said of a change before {LEAST_BEFORE} quiet rows tell how far rows differ anyway:"
            f" there {'is 1' if len(before) == 1 else f'are {len(before)}'} before the newest."
        )
        return Regression(newest, before, None, "unknown", told)
    ratio = ratio_to_means(newest.row.samples_tps, [record.row.mean_tps for record in before])
    if ratio is None:
        told = f"{name}: nothing is said of a change, since the newest row has fewer than two samples."
        return Regression(newest, before, None, "unknown", told)
    verdict: Verdict = "same" if not ratio.is_shown else "slower" if ratio.ratio < 1 else "faster"
    return Regression(newest, before, ratio, verdict, f"{name}: {_told(verdict, newest, before, ratio)}")


def regressions(records: Sequence[BenchRecord]) -> dict[int, Regression]:
    """By record id: every newest row of a trend that is slower than those before it."""
    groups: dict[tuple[str | int, ...], list[BenchRecord]] = {}
    for record in sorted(records, key=_age):
        groups.setdefault(group(record), []).append(record)
    found = {}
    for members in groups.values():
        left = members
        while left:
            trend = [record for record in left if belongs(record, left[-1])]
            judged = judge(trend)
            if judged is not None and judged.verdict == "slower":
                found[judged.record.record_id] = judged
            taken = {record.record_id for record in trend}
            left = [record for record in left if record.record_id not in taken]
    return found


def _told(verdict: Verdict, newest: BenchRecord, before: Sequence[BenchRecord], ratio: Ratio) -> str:
    count = f"the {len(before)} rows"
    since = time.strftime("%Y-%m-%d", time.localtime(before[0].row.measured_at))
    figures = (
        f"{newest.row.mean_tps:.2f} tok/s, {ratio.ratio:.3f}x their mean"
        f" (95 % interval {ratio.low:.3f} to {ratio.high:.3f})"
    )
    versions = list(dict.fromkeys(record.row.engine_version for record in (*before, newest)))
    changed = f" The engine went from {versions[0]} to {versions[-1]}." if len(versions) > 1 else ""
    if verdict == "same":
        return f"no change is shown against {count} since {since}: {figures}."
    return f"{verdict} than {count} since {since}: {figures}.{changed}"


def _alike(first: object, second: object) -> bool:
    return not first or not second or first == second


def _age(record: BenchRecord) -> tuple[float, int]:
    return record.row.measured_at, record.record_id
