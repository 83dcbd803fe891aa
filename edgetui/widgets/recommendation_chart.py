"""The trade-off of a ranking: how good against how fast, the frontier marked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetui.core.recommendation import BENCHMARK
from edgetui.core.units import format_count
from edgetui.widgets.scatter_chart import Point, ScatterChart

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetui.core.recommendation import Ranked

LEGEND = "* frontier  o keeps limits  . breaks one  @ marked"
"""The frontier: no other one is both faster and better."""


def draw_ranking(chart: ScatterChart, rows: Sequence[Ranked], marked: str, *, by_score: bool) -> None:
    """Every row with a known speed; without a score it cannot stand in a chart by score."""
    points = [point for row in rows if (point := _point(row, marked, by_score=by_score)) is not None]
    # What matters covers what does not.
    points.sort(key=lambda point: ".o*@".index(point.mark))
    bound = any(row.choice.pace.value is not None and row.choice.pace.value.is_bound for row in rows)
    unscored = sum(row.choice.pace.value is not None and row.choice.score is None for row in rows)
    is_left_out = any(row.choice.member.name == marked and row.choice.score is None for row in rows)
    whose = ", the marked one too" if is_left_out else ""
    left_out = f" ({unscored} without one are left out{whose}; v: by parameters)" if unscored else ""
    chart.show(
        points,
        "tok/s, at most" if bound else "tok/s, predicted decode",
        f"{BENCHMARK} score{left_out}" if by_score else "parameters",
        LEGEND,
        (lambda value: f"{value:g}") if by_score else (lambda value: format_count(round(value))),
        y_is_log=not by_score,
    )


def _point(row: Ranked, marked: str, *, by_score: bool) -> Point | None:
    choice, pace = row.choice, row.choice.pace.value
    height = choice.score if by_score else float(choice.member.parameters)
    if pace is None or height is None:
        return None
    if choice.member.name == marked:
        return Point(pace.tps, height, "@", "label", choice.member.name)
    if choice.broken:
        return Point(pace.tps, height, ".", "muted")
    if row.on_frontier:
        return Point(pace.tps, height, "*", "good", choice.member.name)
    return Point(pace.tps, height, "o", "bar")
