"""Builds and their figures as a table: for the screen, and as Markdown, CSV and JSON for others."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

from edgetui.core.units import MISSING, counted, format_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetui.core.bench import BenchRow
    from edgetui.core.frontier import FrontierLimits, FrontierRow, Judged, Pick

COLUMNS = (
    "build", "size", "KL", "top-1", "decode", "prefill", "memory", "KL +-", "ppl", "tasks", "load", "J/tok",
)  # fmt: skip
"""What decides first, for narrow terminals; rates in tok/s, load in seconds."""


BUSY = "!"
"""After a rate that was measured beside other work."""
_BUSY_LOAD = 1.0
"""Runnable processes beyond the measurement's own threads, from which on others took its time."""


def table_cells(judged: Judged) -> tuple[str, ...]:
    """A row in the order of `COLUMNS`; what was not measured is `-`."""
    row = judged.row
    quality = row.quality
    divergence = None if quality is None else quality.divergence
    return (
        row.label,
        format_bytes(row.size_bytes),
        MISSING if row.loss is None else f"{row.loss:.4f}",
        MISSING if divergence is None else f"{divergence.same_top1.value:.1%}",
        _rate(row.decode),
        _rate(row.prefill),
        format_bytes(row.memory_bytes),
        MISSING if row.loss is None else f"{row.loss_error:.4f}",
        MISSING if quality is None else f"{quality.perplexity.value:.3f}",
        tasks_told(row),
        MISSING if row.load_s is None else f"{row.load_s:.2f}",
        MISSING if row.joules_per_token is None else f"{row.joules_per_token:.3g}",
    )


def tasks_told(row: FrontierRow) -> str:
    """`31/60`, or `-`."""
    if row.quality is None or not row.quality.tasks:
        return MISSING
    right = sum(score.right for score in row.quality.tasks)
    return f"{right}/{sum(score.asked for score in row.quality.tasks)}"


def place_mark(judged: Judged, picked: Pick) -> str:
    """One character: `>` the pick, `*` on the frontier, `x` not measured, `.` breaks a limit, blank otherwise."""
    if picked.row is judged.row:
        return ">"
    if judged.row.problem:
        return "x"
    if judged.broken:
        return "."
    return "*" if judged.on_frontier else " "


def told_conditions(rows: Sequence[FrontierRow]) -> str:
    """Over what the figures were measured, in one line; what spoils or qualifies them first."""
    parts = []
    rates = [bench for row in rows for bench in (row.decode, row.prefill) if bench is not None]
    busy = [bench.load_average for bench in rates if bench.load_average is not None and is_busy(bench)]
    if busy:
        parts.append(f"{BUSY} measured beside other work (load {max(busy):.1f}): too slow")
    usual = max((row.decode.tokens for row in rows if row.decode is not None), default=0)
    few = [row.label for row in rows if row.decode is not None and row.decode.tokens < usual]
    if few:
        parts.append(f"{', '.join(few)} over a few tokens only")
    quality = next((row.quality for row in rows if row.quality is not None), None)
    if quality is not None:
        against = f"against {quality.base_name}, " if quality.base_name else ""
        parts.append(f"{against}{quality.text_name}, {quality.chunks} x {quality.context_tokens} tokens")
    if rates:
        parts.append(counted(rates[0].threads, "thread"))
    return "; ".join(parts)


def is_busy(bench: BenchRow) -> bool:
    """Whether others took the processor's time while it was measured."""
    return bench.load_average is not None and bench.load_average > bench.threads + _BUSY_LOAD


def told_limits(limits: FrontierLimits, axis: str) -> str:
    """`size <= 110 MiB, decode >= 5 tok/s; paid with size`."""
    named = (
        ("size <= {:g} MiB", limits.max_size_mib),
        ("memory <= {:g} MiB", limits.max_memory_mib),
        ("decode >= {:g} tok/s", limits.min_decode_tps),
        ("prefill >= {:g} tok/s", limits.min_prefill_tps),
        ("KL <= {:g}", limits.max_kl),
        ("perplexity <= {:g}", limits.max_perplexity),
    )
    told = ", ".join(words.format(limit) for words, limit in named if limit is not None)
    return f"{told or 'no limits'}; paid with {axis}"


def as_markdown(judged: Sequence[Judged], picked: Pick) -> str:
    """A table, its conditions above and the pick below; marks as `place_mark` gives them."""
    rows = [one.row for one in judged]
    head = " | ".join(("", *COLUMNS, "note"))
    align = " | ".join(("---", "---", *("---:" for _ in COLUMNS[1:]), "---"))
    lines = [f"Builds of {rows[0].source_name}: {told_conditions(rows)}.", "", f"| {head} |", f"| {align} |"]
    for one in judged:
        cells = (place_mark(one, picked), *table_cells(one), one.row.problem or "; ".join(one.broken))
        lines.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
    return "\n".join([*lines, "", picked.reason, ""])


def figures(judged: Judged, picked: Pick) -> dict[str, object]:
    """Every figure of a row under a name with its unit, for machines."""
    row = judged.row
    quality = row.quality
    divergence = None if quality is None else quality.divergence
    return {
        "source": row.source_name,
        "build": row.label,
        "toolchain": row.toolchain,
        "model": row.model_name,
        "path": row.path,
        "size_bytes": row.size_bytes,
        "kl_mean": None if divergence is None else divergence.mean.value,
        "kl_mean_error": None if divergence is None else divergence.mean.error,
        "kl_median": None if divergence is None else divergence.median,
        "kl_p99": None if divergence is None else divergence.p99,
        "kl_max": None if divergence is None else divergence.maximum,
        "same_top1": None if divergence is None else divergence.same_top1.value,
        "same_top5": None if divergence is None else divergence.same_top5.value,
        "rms_dp": None if divergence is None else divergence.rms_dp.value,
        "perplexity": None if quality is None else quality.perplexity.value,
        "perplexity_error": None if quality is None else quality.perplexity.error,
        "tasks_right": None if quality is None else sum(score.right for score in quality.tasks),
        "tasks_asked": None if quality is None else sum(score.asked for score in quality.tasks),
        "text": None if quality is None else quality.text_name,
        "chunks": None if quality is None else quality.chunks,
        "decode_tps": row.decode_tps,
        "decode_tokens": None if row.decode is None else row.decode.tokens,
        "load_average": None if row.decode is None else row.decode.load_average,
        "prefill_tps": row.prefill_tps,
        "memory_bytes": row.memory_bytes,
        "load_s": row.load_s,
        "joules_per_token": row.joules_per_token,
        "engine": None if row.decode is None else f"{row.decode.engine} {row.decode.engine_version}",
        "measured_at": row.measured_at,
        "on_frontier": judged.on_frontier,
        "is_pick": picked.row is row,
        "broken_limits": list(judged.broken),
        "problem": row.problem or None,
    }


def as_csv(judged: Sequence[Judged], picked: Pick) -> str:
    """The same figures, a line a build."""
    rows = [figures(one, picked) for one in judged]
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: "; ".join(value) if isinstance(value, list) else value for name, value in row.items()})
    return stream.getvalue()


def as_json(judged: Sequence[Judged], picked: Pick) -> str:
    """The same figures, with the reason of the pick."""
    told = {"pick": picked.reason, "builds": [figures(one, picked) for one in judged]}
    return json.dumps(told, indent=2, ensure_ascii=False) + "\n"


def _rate(bench: BenchRow | None) -> str:
    return MISSING if bench is None else f"{bench.mean_tps:.1f}{BUSY if is_busy(bench) else ''}"
