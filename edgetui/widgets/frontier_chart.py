"""The trade-off of a sweep: quality against what it is paid with, the frontier marked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetui.core.frontier_svg import AXIS_TITLES, LEAST_LOSS, axis_value
from edgetui.widgets.scatter_chart import Point, ScatterChart

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetui.core.frontier import CostAxis, Judged, Pick

LEGEND = "> to take  * frontier  o keeps limits  . breaks one  @ marked"


class FrontierChart(ScatterChart):
    """Builds over their cost, down is better; both axes are logarithmic."""

    def show_builds(self, judged: Sequence[Judged], picked: Pick, axis: CostAxis, marked: Judged | None) -> None:
        """Draw every build whose two figures are measured."""
        points = [point for one in judged if (point := _point(one, picked, axis, marked)) is not None]
        # What matters covers what does not.
        points.sort(key=lambda point: ".o*@>".index(point.mark))
        left_out = len(judged) - len(points)
        self.show(
            points,
            AXIS_TITLES[axis],
            "mean KL divergence, nats" + (f" ({left_out} not measured, left out)" if left_out else ""),
            LEGEND,
            lambda value: f"{value:g}",
            y_is_log=True,
        )


def _point(one: Judged, picked: Pick, axis: CostAxis, marked: Judged | None) -> Point | None:
    across, loss = axis_value(one.row, axis), one.row.loss
    if not across or loss is None:
        return None
    height = max(loss, LEAST_LOSS)
    if picked.row is one.row:
        return Point(across, height, ">", "good", one.row.label)
    if marked is not None and marked.row is one.row:
        return Point(across, height, "@", "label", one.row.label)
    if one.broken:
        return Point(across, height, ".", "muted")
    if one.on_frontier:
        return Point(across, height, "*", "good", one.row.label)
    return Point(across, height, "o", "bar", one.row.label)
