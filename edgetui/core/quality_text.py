"""A row of measured quality in words and figures, a line each, as commands and screens show it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetui.core.units import MISSING, counted, format_duration

if TYPE_CHECKING:
    from edgetui.core.quality import Estimate, QualityRow, TaskScore


def lines(row: QualityRow) -> list[tuple[str, str]]:
    """Label and figure of every line; figures that were not measured have none."""
    told = [
        ("Model", f"{row.model_name} ({row.quant_type or 'type not told'}, {row.engine} {row.engine_version})"),
        (
            "Text",
            f"{row.text_name}, {counted(row.chunks, 'chunk')} of {row.context_tokens} tokens,"
            f" {row.scored_tokens} scored",
        ),
        ("Perplexity", _estimate(row.perplexity, 4)),
    ]
    if row.divergence is not None:
        found = row.divergence
        told += [
            ("Compared with", row.base_name or ""),
            ("Its perplexity", _estimate(found.base_perplexity, 4)),
            ("ln(PPL ratio)", _estimate(found.ln_perplexity_ratio, 5)),
            ("KL divergence", f"{_estimate(found.mean, 5)} nats"),
            ("  median, p99, max", f"{found.median:.5f}, {found.p99:.5f}, {found.maximum:.5f}"),
            ("Same likeliest token", _percent(found.same_top1)),
            ("Same of likeliest 5", _percent(found.same_top5)),
            ("Mean change of p", _percent(found.mean_dp)),
            ("RMS change of p", _percent(found.rms_dp)),
        ]
    scores = (*row.tasks, row.task_total) if row.task_total is not None else ()
    told += [(f"Tasks, {score.kind}", task_figure(score)) for score in scores if score is not None]
    told.append(("Measured in", format_duration(row.seconds)))
    return told


COLUMNS = ("model", "engine", "KL", "+-", "top-1", "ppl", "+-", "tasks", "against", "text", "chunks")
"""Of a table with a row a measurement."""


def cells(row: QualityRow) -> tuple[str, ...]:
    """A row in the order of `COLUMNS`; what was not measured is `-`."""
    found, total = row.divergence, row.task_total
    return (
        row.model_name,
        row.engine,
        MISSING if found is None else f"{found.mean.value:.5f}",
        MISSING if found is None else f"{found.mean.error:.5f}",
        MISSING if found is None else f"{found.same_top1.value:.1%}",
        f"{row.perplexity.value:.3f}",
        f"{row.perplexity.error:.3f}",
        MISSING if total is None else f"{total.right}/{total.asked}",
        row.base_name or MISSING,
        row.text_name,
        f"{row.chunks}x{row.context_tokens}",
    )


def task_figure(score: TaskScore) -> str:
    """`11 of 24 (28 % to 65 %)`, with the 95 % interval."""
    interval = score.interval
    return f"{score.right} of {score.asked} ({100 * interval.low:.0f} % to {100 * interval.high:.0f} %)"


def _estimate(of: Estimate, digits: int) -> str:
    return f"{of.value:.{digits}f} +/- {of.error:.{digits}f}"


def _percent(of: Estimate) -> str:
    return f"{100 * of.value:.3f} +/- {100 * of.error:.3f} %"
