"""A report of measurements to hand to somebody else: its parts, and the same as Markdown."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from edgetui.core import bench_charts
from edgetui.core.bench_comparison import compare, turns_of
from edgetui.core.bench_details import machine_text, model_text, moment, samples_text, settings_text
from edgetui.core.bench_filter import source_of
from edgetui.core.bench_noise import conditions_text, noise_of
from edgetui.core.bench_table import energy_text
from edgetui.core.chart_text import chart_lines
from edgetui.core.charts import BarChart
from edgetui.core.hardware_report import redact
from edgetui.core.llama_bench_columns import file_name
from edgetui.core.plain_text import plain_line
from edgetui.core.repeat_commands import bench_commands
from edgetui.core.studies import AbResult
from edgetui.core.study_text import kind_of, models_of, study_charts
from edgetui.core.units import MISSING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edgetui.core.bench import BenchRecord, BenchRow
    from edgetui.core.bench_trend import Regression
    from edgetui.core.charts import Chart
    from edgetui.core.repeat_commands import RepeatCommand
    from edgetui.core.studies import Study, StudyResult

HEADINGS = (
    *("row", "model", "type", "engine", "settings", "test", "mean t/s", "sd", "median", "MAD", "95 % interval"),
    *("J/token", "measured", "source"),
)
_CHART_CELLS, _CHART_ROWS = 92, 14


class Part(NamedTuple):
    """A heading with what stands under it."""

    title: str
    sentences: tuple[str, ...] = ()
    charts: tuple[Chart, ...] = ()


class RowPart(NamedTuple):
    """One row whole."""

    title: str
    facts: tuple[tuple[str, str], ...]
    commands: tuple[RepeatCommand, ...]


class Report(NamedTuple):
    """Everything that a report says, redacted; a form only lays it out."""

    title: str
    made: str
    machines: tuple[str, ...]
    table: tuple[tuple[str, ...], ...]
    """`HEADINGS` first."""
    warnings: tuple[str, ...]
    parts: tuple[Part, ...]
    rows: tuple[RowPart, ...]


def report(
    records: Sequence[BenchRecord],
    studies: Sequence[Study],
    slower: Sequence[Regression],
    private: Iterable[str],
    now: float,
) -> Report:
    """Of these rows (newest first) and studies; `private` are words that name this person or machine."""
    words = tuple(private)

    def clean(text: str) -> str:
        return redact(plain_line(text), words)

    told = [msgspec.structs.replace(study, result=_without_folders(study.result)) for study in studies]
    parts = _comparisons(records, told)
    parts += (
        Part(
            f"{kind_of(result)}: {', '.join(models_of(result))}",
            (result.sentence,),
            tuple(study_charts(result)),
        )
        for result in (study.result for study in told)
    )
    warnings = [f"Row {record.record_id} is noisy: {why}." for record in records if (why := noise_of(record.row))]
    warnings += [regression.sentence for regression in slower]
    return Report(
        title="Measurements by edgetui",
        made=time.strftime("%Y-%m-%d %H:%M", time.localtime(now)),
        machines=tuple(dict.fromkeys(clean(machine_text(record.machine)) for record in records)),
        table=(HEADINGS, *(tuple(clean(cell) for cell in _cells(record)) for record in records)),
        warnings=tuple(map(clean, warnings)),
        parts=tuple(_cleaned(part, words) for part in parts),
        rows=tuple(_row(record, words) for record in records),
    )


def as_markdown(told: Report) -> str:
    """The report for a bug tracker or a wiki; charts as text."""
    lines = [f"# {told.title}", "", f"Made {told.made}.", "", "## Machine", ""]
    lines += [f"- {_cell(machine)}" for machine in told.machines]
    lines += ["", "## Rows", ""]
    for number, cells in enumerate(told.table):
        lines.append("| " + " | ".join(map(_cell, cells)) + " |")
        if number == 0:
            lines.append("|" + "---|" * len(cells))
    if told.warnings:
        lines += ["", "## Warnings", "", *(f"- {_cell(warning)}" for warning in told.warnings)]
    for part in told.parts:
        lines += ["", f"## {_cell(part.title)}", "", *(f"{_cell(sentence)}  " for sentence in part.sentences)]
        for chart in part.charts:
            lines += ["", *_fenced("\n".join(chart_lines(chart, _CHART_CELLS, _CHART_ROWS)), "text")]
    lines += ["", "## Each row, and how to repeat it"]
    for row in told.rows:
        lines += ["", f"### {_cell(row.title)}", "", *(f"- {label}: {_cell(text)}" for label, text in row.facts)]
        for command in row.commands:
            language = "python" if command.language == "python" else "sh"
            note = f" {_cell(plain_line(command.note))}" if command.note else ""
            lines += ["", f"{_cell(command.tool)}:{note}", "", *_fenced(command.text.rstrip("\n"), language)]
    return "\n".join(lines) + "\n"


def _comparisons(records: Sequence[BenchRecord], studies: Sequence[Study]) -> list[Part]:
    """For each test with several rows: a bar a row, and each other row against the first measured."""
    turns = turns_of(studies)
    tests: dict[str, list[BenchRecord]] = {}
    for record in records:
        tests.setdefault(record.row.name, []).append(record)
    parts = []
    for name, members in tests.items():
        if len(members) < 2:
            continue
        ordered = sorted(members, key=lambda record: (record.row.measured_at, record.record_id))
        base = ordered[0]
        told = [
            f"Row {other.record_id} against row {base.record_id}: " + compare(other, base, turns).sentence
            for other in ordered[1:]
        ]
        parts.append(Part(f"Compared: {name}", tuple(told), (bench_charts.compared(ordered),)))
    for record, chart in bench_charts.curves(records):
        shared = f"With the settings of row {record.record_id}, but for {chart.x_label}: {settings_text(record.row)}."
        parts.append(Part(f"Curve: {chart.title}", (shared,), (chart,)))
    return parts


def _cells(record: BenchRecord) -> tuple[str, ...]:
    row = record.row
    sd, share = row.sd_tps, row.interval_share
    interval = MISSING
    if share is not None:
        interval = f"{max(0.0, row.mean_tps * (1 - share)):.2f} to {row.mean_tps * (1 + share):.2f}"
    return (
        f"{record.record_id}{bench_charts.NOISY if noise_of(row) else ''}",
        row.model_name,
        row.model_quant_type or MISSING,
        f"{row.engine} {row.engine_version} {row.backend}".strip(),
        settings_text(row),
        row.name,
        f"{row.mean_tps:.2f}",
        MISSING if sd is None else f"{sd:.2f}",
        MISSING if row.median_tps is None else f"{row.median_tps:.2f}",
        MISSING if row.mad_tps is None else f"{row.mad_tps:.2f}",
        interval,
        energy_text(record),
        moment(row),
        source_of(record),
    )


def _row(record: BenchRecord, words: Sequence[str]) -> RowPart:
    row = record.row
    facts = (
        ("model", model_text(row)),
        ("samples", samples_text(row)),
        ("conditions", conditions_text(row.conditions)),
        ("machine", machine_text(record.machine)),
    )
    commands = tuple(
        msgspec.structs.replace(command, text=redact(command.text, words), note=redact(command.note, words))
        for command in bench_commands(without_folder(row))
    )
    title = redact(plain_line(f"Row {record.record_id}: {row.name} of {row.model_name}"), words)
    return RowPart(title, tuple((label, redact(plain_line(text), words)) for label, text in facts), commands)


def without_folder(row: BenchRow) -> BenchRow:
    """The row with its model by name: a folder tells whose machine it was, and is another one elsewhere."""
    path = row.model_path
    name = file_name(path)
    if row.engine != "llama.cpp" and "/" in path and "." in name:
        # A graph is called model.onnx in every folder: there the folder is the name.
        name = f"{file_name(path[: -len(name) - 1])}/{name}"
    return msgspec.structs.replace(row, model_path=name)


def _without_folders(result: StudyResult) -> StudyResult:
    """Sides that only their folders tell apart are told as A and B."""
    if not isinstance(result, AbResult):
        return result
    sides, sentence = {"a": result.a, "b": result.b}, result.sentence
    for which, side in sorted(sides.items(), key=lambda item: len(item[1].label), reverse=True):
        folder, _, _ = side.label.replace("\\", "/").rpartition("/")
        if folder and folder in side.model_path.replace("\\", "/"):
            end = side.label[len(folder) + 1 :]
            label = f"{which.upper()} ({end})"
            sentence = sentence.replace(side.label, label)
            sides[which] = msgspec.structs.replace(side, label=label)
    return msgspec.structs.replace(result, a=sides["a"], b=sides["b"], sentence=sentence)


def _cleaned(part: Part, words: Sequence[str]) -> Part:
    def clean(text: str) -> str:
        return redact(plain_line(text), words)

    charts: list[Chart] = []
    for chart in part.charts:
        if isinstance(chart, BarChart):
            bars = tuple(bar._replace(label=clean(bar.label)) for bar in chart.bars)
            charts.append(chart._replace(title=clean(chart.title), bars=bars))
        else:
            charts.append(
                chart._replace(
                    title=clean(chart.title),
                    x_label=clean(chart.x_label),
                    series=tuple(each._replace(name=clean(each.name)) for each in chart.series),
                    x_names=tuple(map(clean, chart.x_names)),
                )
            )
    return Part(clean(part.title), tuple(map(clean, part.sentences)), tuple(charts))


def _cell(text: str) -> str:
    """Nothing from outside may be taken for Markdown or HTML."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*\[\]|~#!]|\b_|_\b)", r"\\\1", text)


def _fenced(text: str, language: str) -> list[str]:
    """A block whose fence is longer than any inside it."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}{language}", text, fence]
