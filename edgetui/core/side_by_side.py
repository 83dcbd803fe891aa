"""One prompt answered by several models or settings beside each other: what is kept of it, and how it is told."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from edgetui.core.bench import Machine
from edgetui.core.plain_text import plain_line
from edgetui.core.repeat_commands import RepeatCommand, RunFacts, run_commands
from edgetui.core.run_settings import LoadSettings, SamplingSettings
from edgetui.core.units import MISSING, format_bytes, format_duration, format_rate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetui.core.models import ModelEntry

LEAST_COLUMNS, MOST_COLUMNS = 2, 4


class AnswerFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer cost; None for what was not measured."""

    reason: str
    """Why it ended, as `Finished` names it."""
    prompt_tokens: int
    prefill_tokens: int
    """Of those, what was computed in this turn."""
    generated_tokens: int
    seed: int
    ttft_s: float | None = None
    prefill_tps: float | None = None
    decode_tps: float | None = None
    """Mean of the whole answer without its first token."""
    itl_p50_s: float | None = None
    itl_p99_s: float | None = None
    network_s: float | None = None
    """Of a server that tells its own times: the part of `ttft_s` that it does not account for."""
    memory_bytes: int | None = None
    """Resident in the worker when the answer ended."""
    joules_per_token: float | None = None
    """Of decode, where a meter could be read and nothing ran beside it."""
    energy_meter: str = ""
    energy_reason: str = ""
    """Why there is no energy."""


class ComparedAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One column: who answered how."""

    facts: RunFacts
    """What decides the answer, by which it can be repeated."""
    label: str
    """What tells it apart from the other columns."""
    quant_type: str = ""
    size_bytes: int = 0
    fingerprint: str = ""
    engine: str = ""
    """Empty for a column that was never loaded."""
    engine_version: str = ""
    backend: str = ""
    load_s: float | None = None
    """None when the model was in memory already."""
    text: str = ""
    figures: AnswerFigures | None = None
    """None for an answer that did not end well."""
    failure: str = ""
    """Why it did not, in one sentence."""


class ComparedPrompt(msgspec.Struct, frozen=True, kw_only=True):
    """One prompt and its answers."""

    prompt: str
    columns: tuple[ComparedAnswer, ...]
    asked_at: float
    """Unix time in seconds."""
    together: bool
    """Whether all ran at once; their figures then show what each leaves the others."""
    machine: Machine = Machine()


class ComparisonRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the history."""

    record_id: int
    compared: ComparedPrompt
    preferred: int | None = None
    """Index of the column that the person liked best."""


def column_traits(columns: Sequence[tuple[ModelEntry, LoadSettings, SamplingSettings]]) -> list[str]:
    """For each column what of its settings differs from another's of the same model, empty where nothing does."""
    found = []
    for index, (entry, load, sampling) in enumerate(columns):
        others = [column for place, column in enumerate(columns) if column[0].name == entry.name and place != index]
        traits = [
            f"{field.replace('_', ' ')} {_value(getattr(mine, field))}"
            for number, mine in ((1, load), (2, sampling))
            for field in mine.__struct_fields__
            if any(getattr(other[number], field) != getattr(mine, field) for other in others)
        ]
        found.append(", ".join(traits))
    return found


def column_labels(columns: Sequence[tuple[ModelEntry, LoadSettings, SamplingSettings]]) -> list[str]:
    """What tells the columns apart: the model's name with its traits, and a number where those are alike too."""
    traits = column_traits(columns)
    labels = [
        f"{entry.name} ({trait})" if trait else entry.name for (entry, _, _), trait in zip(columns, traits, strict=True)
    ]
    return [
        f"{label} #{labels[:place].count(label) + 1}" if labels.count(label) > 1 else label
        for place, label in enumerate(labels)
    ]


FIGURE_HEADINGS = (
    "TTFT", "prefill", "decode", "ITL p50", "ITL p99", "tokens", "memory", "load", "J/token",
)  # fmt: skip


def figure_cells(answer: ComparedAnswer) -> tuple[str, ...]:
    """One cell a heading of `FIGURE_HEADINGS`."""
    figures = answer.figures
    if figures is None:
        return (MISSING,) * len(FIGURE_HEADINGS)
    return (
        format_duration(figures.ttft_s),
        format_rate(figures.prefill_tps),
        format_rate(figures.decode_tps),
        format_duration(figures.itl_p50_s),
        format_duration(figures.itl_p99_s),
        str(figures.generated_tokens),
        format_bytes(figures.memory_bytes),
        "in memory" if answer.load_s is None else format_duration(answer.load_s),
        MISSING if figures.joules_per_token is None else f"{figures.joules_per_token:.3g}",
    )


def figure_table(compared: ComparedPrompt) -> list[tuple[str, ...]]:
    """Headings, then a row a column."""
    rows: list[tuple[str, ...]] = [("model", *FIGURE_HEADINGS)]
    rows += [(plain_line(answer.label), *figure_cells(answer)) for answer in compared.columns]
    return rows


def how_measured(compared: ComparedPrompt) -> str:
    """One sentence on what the figures are worth."""
    if compared.together:
        return "Measured beside each other: the columns shared the processor, the memory and its bandwidth."
    return "Measured one after another: no column ran beside another."


def commands_of(answer: ComparedAnswer) -> tuple[RepeatCommand, ...]:
    """What repeats one column elsewhere."""
    return run_commands(answer.facts)


def as_markdown(record: ComparisonRecord) -> str:
    """A document: the prompt, the figures as a table, each answer, and what repeats it."""
    compared = record.compared
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(compared.asked_at))
    parts = [f"# Side by side, {when}", _fenced(compared.prompt), how_measured(compared)]
    if machine := ", ".join(filter(None, (compared.machine.cpu, compared.machine.system))):
        parts.append(f"On {machine}.")
    rows = [tuple(cell.replace("|", "\\|") for cell in row) for row in figure_table(compared)]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|" + " --- |" * len(rows[0]))
    parts.append("\n".join(lines))
    for number, answer in enumerate(compared.columns):
        liked = " (preferred)" if record.preferred == number else ""
        parts.append(f"## {number + 1}. {plain_line(answer.label)}{liked}")
        if answer.engine:
            parts.append(f"{answer.engine} {answer.engine_version} {answer.backend}".strip())
        if answer.failure:
            parts.append(answer.failure)
        if answer.text:
            parts.append(_fenced(answer.text))
        for command in commands_of(answer):
            parts.append(" ".join(filter(None, (f"With {command.tool}:", command.note))))
            parts.append(_fenced(command.text.rstrip("\n"), "python" if command.language == "python" else "sh"))
    return "\n\n".join(parts) + "\n"


def as_builtins(record: ComparisonRecord) -> dict[str, object]:
    """For JSON: the whole record, and of each column what repeats it."""
    told: dict[str, object] = msgspec.to_builtins(record.compared)
    told["columns"] = [
        {**msgspec.to_builtins(answer), "commands": [msgspec.to_builtins(command) for command in commands_of(answer)]}
        for answer in record.compared.columns
    ]
    return {"id": record.record_id, "preferred": record.preferred, **told}


def _value(value: object) -> str:
    if value in ("", (), None):
        return "none"
    if isinstance(value, tuple):
        return f"{len(value)}"
    text = plain_line(str(value))
    return text if len(text) <= 24 else f"{text[:21]}..."


def _fenced(text: str, language: str = "") -> str:
    """A block of code whose fence no line of the text can be taken for."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}{language}\n{text}\n{fence}"
