"""The load of a server as a table, one or two beside each other as the width allows, and as sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetui.core.plain_text import plain_line
from edgetui.core.units import counted, format_duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetui.core.server_load import Percentiles, ServerBenchSettings, ServerLoadResult
    from edgetui.core.server_load_form import ServerLoadForm

TABLE_HEAD = (
    "streams", "ok", "prompt", "out", "tok/s all", "tok/s each",
    "TTFT p50", "p95", "p99", "ITL p50", "p95", "p99", "network",
)  # fmt: skip
_FIRST_TIME = TABLE_HEAD.index("TTFT p50")
_GAP = "  "


def load_table(result: ServerLoadResult) -> list[tuple[str, ...]]:
    """Head and rows as text."""

    def three(times: Percentiles | None) -> tuple[str, str, str]:
        if times is None:
            return ("-", "-", "-")
        return (format_duration(times.p50), format_duration(times.p95), format_duration(times.p99))

    rows: list[tuple[str, ...]] = [TABLE_HEAD]
    for row in result.rows:
        each = "-" if row.decode_tps is None else f"{row.decode_tps:.2f}"
        rows.append(
            (
                str(row.concurrency),
                f"{row.requests - row.failed}/{row.requests}",
                str(row.prompt_tokens),
                f"{row.generated_tokens}{'*' if row.is_counted_here else ''}",
                f"{row.output_tps:.2f}",
                each,
                *three(row.ttft_s),
                *three(row.itl_s),
                "-" if row.network_s is None else format_duration(row.network_s),
            )
        )
    return rows


def load_lines(result: ServerLoadResult, width: int) -> list[str]:
    """The table in `width` cells: where they are too few for all of it, rates and then times, each by its level."""
    table = load_table(result)
    lines = _aligned(table)
    if len(lines[0]) > width:
        rates = [row[:_FIRST_TIME] for row in table]
        times = [row[:1] + row[_FIRST_TIME:] for row in table]
        lines = [*_aligned(rates), "", *_aligned(times)]
    return lines


def load_subject(result: ServerLoadResult) -> str:
    """Who was asked."""
    return plain_line(f"{result.endpoint.name}: {', '.join(filter(None, (result.server, result.model)))}")


def load_asked(settings: ServerBenchSettings | ServerLoadForm) -> str:
    """What each level asks."""
    questions = f"{counted(settings.requests, 'question')} each"
    return f"{questions} of about {settings.prompt_tokens} tokens, answers of up to {settings.generated_tokens}"


def load_problems(result: ServerLoadResult) -> list[str]:
    """What went wrong, and what the figures are not."""
    is_counted_here = any(row.is_counted_here for row in result.rows)
    told = ["* the server counts no tokens: pieces of text are counted"] if is_counted_here else []
    told += [
        f"{row.failed} of {row.requests} failed with {row.concurrency} at once: {row.problem}"
        for row in result.rows
        if row.problem
    ]
    return [plain_line(sentence) for sentence in told]


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [_GAP.join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
