"""What of the history is drawn, and how: rows compared, one row over time, a curve over lengths or settings, a soak."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from edgetui.core.bench import labels
from edgetui.core.bench_identity import set_up
from edgetui.core.bench_noise import noise_of
from edgetui.core.charts import Bar, BarChart, LineChart, Series
from edgetui.core.statistics import mean

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edgetui.core.bench import BenchRecord
    from edgetui.core.charts import Chart
    from edgetui.core.studies import SoakResult, SoakSample

    Key = Callable[[BenchRecord], tuple[object, ...]]
    """What the rows of one curve share."""

NOISY = "!"
"""Beside the figure of a row that was measured on a noisy machine."""
MEAN_RATE = "tok/s, mean"
"""What bars of rows and of an A/B's sides show: the mean of the repetitions' rates."""
Over = Literal["date", "version"]


def compared(records: Sequence[BenchRecord], title: str = "") -> BarChart:
    """A bar a record, its interval where there are samples for one."""
    names = labels(records) if records else []
    bars = []
    for name, record in zip(names, records, strict=True):
        rate, share = record.row.mean_tps, record.row.interval_share
        low, high = (None, None) if share is None else (max(0.0, rate * (1 - share)), rate * (1 + share))
        bars.append(Bar(name, rate, low, high, f" {NOISY}" if noise_of(record.row) else ""))
    return BarChart(title or (records[0].row.name if records else ""), MEAN_RATE, tuple(bars))


def trend(records: Sequence[BenchRecord], over: Over = "date") -> LineChart:
    """Rows of one measurement, oldest first, by date or by engine version; noisy ones are a series of their own."""
    if not records:
        return LineChart("", over, "tok/s", ())
    versions = tuple(dict.fromkeys(record.row.engine_version or "?" for record in records))

    def x_of(record: BenchRecord) -> float:
        return record.row.measured_at if over == "date" else float(versions.index(record.row.engine_version or "?"))

    parts = (
        ("quiet", [record for record in records if not noise_of(record.row)]),
        ("noisy", [record for record in records if noise_of(record.row)]),
    )
    series = tuple(
        Series(name, tuple((x_of(record), record.row.mean_tps) for record in chosen))
        for name, chosen in parts
        if chosen
    )
    row = records[-1].row
    title = f"{row.model_name} {row.name}"
    if over == "date":
        return LineChart(title, "date", "tok/s", series, x_kind="time")
    return LineChart(title, f"version of {row.engine}", "tok/s", series, x_kind="names", x_names=versions)


def curve(record: BenchRecord, records: Sequence[BenchRecord]) -> LineChart | None:
    """The curve that a row is a point of: TTFT over the prompt's length, else rate over depth, else over threads.

    All its rows share every other setting. None where there are fewer than two points. Of several rows at one place the
    newest counts (they come newest first).
    """
    found = _keyed_curve(record, lambda row, key: [other for other in records if key(other) == key(row)])
    return None if found is None else found[1]


def curves(records: Sequence[BenchRecord]) -> list[tuple[BenchRecord, LineChart]]:
    """Each curve of these rows once, with the first row on it."""
    # Each row's keys are made once: a report may have thousands of rows.
    members: dict[tuple[Key, tuple[object, ...]], list[BenchRecord]] = {}
    for record in records:
        for key in (_but_tokens, _but_depth, _but_threads):
            members.setdefault((key, key(record)), []).append(record)
    drawn: dict[tuple[object, ...], tuple[BenchRecord, LineChart]] = {}
    for record in records:
        if (found := _keyed_curve(record, lambda row, key: members[key, key(row)])) is not None:
            drawn.setdefault(found[0], (record, found[1]))
    return list(drawn.values())


def _keyed_curve(
    record: BenchRecord, members_of: Callable[[BenchRecord, Key], Sequence[BenchRecord]]
) -> tuple[tuple[object, ...], LineChart] | None:
    """A row's curve, with what all its rows share and no others; `members_of` gives rows that share it."""
    if record.row.test == "pp":
        found = _curve(record, members_of(record, _but_tokens), lambda other: other.row.tokens)
        if found is not None:
            points = tuple((x, 1000 * mean([ns / 1e9 for ns in each.row.samples_ns])) for x, each in found)
            title = f"{record.row.model_name}: time to the first token"
            chart = LineChart(title, "prompt tokens", "ms", (Series("prefill", points),), x_is_log=True)
            return (chart.x_label, *_but_tokens(record)), chart
    for x_label, x_of, key in (
        ("depth, tokens in the KV cache", lambda other: other.row.depth_tokens, _but_depth),
        ("threads", lambda other: other.row.threads, _but_threads),
    ):
        found = _curve(record, members_of(record, key), x_of)
        if found is not None:
            points = tuple((x, each.row.mean_tps) for x, each in found)
            name = f"{record.row.test}{record.row.tokens}"
            chart = LineChart(f"{record.row.model_name} {name}", x_label, "tok/s", (Series(name, points),))
            return (x_label, *key(record)), chart
    return None


def soak_length(result: SoakResult) -> str:
    """`600 s`, or `412 of 600 s` of one that was cut short."""
    lasted = f"{result.samples[-1].at_s:.0f} of " if result.cut_short and result.samples else ""
    return f"{lasted}{result.duration_s:.0f} s"


def soak(result: SoakResult) -> list[Chart]:
    """Rate, temperature, frequency and power on one time axis, under one another; those that the machine tells."""
    name = f"{result.side.model_name}: soak of {soak_length(result)}"
    marks = () if result.knee is None else ((result.knee.at_s, "knee"),)
    throttled = next((sample.at_s for sample in result.samples if sample.throttled), None)
    if throttled is not None:
        marks = (*marks, (throttled, "throttled"))
    parts: tuple[tuple[str, str, Callable[[SoakSample], float | None]], ...] = (
        ("decode", "tok/s", lambda sample: sample.tps),
        ("temperature", "C", lambda sample: sample.temperature_c),
        ("frequency", "GHz", lambda sample: None if sample.frequency_hz is None else sample.frequency_hz / 1e9),
        ("power", "W", lambda sample: sample.watts),
    )
    charts: list[Chart] = []
    for what, unit, value_of in parts:
        points = tuple((sample.at_s, value) for sample in result.samples if (value := value_of(sample)) is not None)
        if points:
            title = name if not charts else what
            charts.append(LineChart(title, "seconds", f"{what}, {unit}", (Series(what, points),), verticals=marks))
    return charts


def _curve(
    record: BenchRecord, members: Sequence[BenchRecord], x_of: Callable[[BenchRecord], int]
) -> list[tuple[float, BenchRecord]] | None:
    places: dict[int, BenchRecord] = {}
    for other in (record, *members):
        if other.row.samples_ns:
            places.setdefault(x_of(other), other)
    return [(float(x), places[x]) for x in sorted(places)] if len(places) > 1 else None


def _but_tokens(record: BenchRecord) -> tuple[object, ...]:
    row = record.row
    return (row.test, row.depth_tokens, row.threads, *_shared(record))


def _but_depth(record: BenchRecord) -> tuple[object, ...]:
    row = record.row
    return (row.test, row.tokens, row.prompt_tokens, row.threads, *_shared(record))


def _but_threads(record: BenchRecord) -> tuple[object, ...]:
    row = record.row
    return (row.test, row.tokens, row.prompt_tokens, row.depth_tokens, *_shared(record))


def _shared(record: BenchRecord) -> tuple[object, ...]:
    row = record.row
    return (row.model_name, row.model_quant_type, row.engine, row.source, set_up(row), record.machine.cpu)
