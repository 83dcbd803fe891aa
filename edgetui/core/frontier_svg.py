"""The trade-off as a picture for documents: an SVG of the builds over two logarithmic axes, the frontier drawn."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from edgetui.core.units import format_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edgetui.core.frontier import CostAxis, FrontierRow, Judged, Pick

WIDTH, HEIGHT = 860, 520
_LEFT, _RIGHT, _TOP, _BOTTOM = 80, 30, 56, 64
LEAST_LOSS = 1e-3
"""A KL divergence below that is drawn there: 0 has no place on a logarithmic axis."""
_MIB = 1024.0**2
AXIS_TITLES: dict[CostAxis, str] = {
    "size": "size on disk, MiB",
    "speed": "decode, tok/s",
    "memory": "memory, MiB",
}


def axis_value(row: FrontierRow, axis: CostAxis) -> float | None:
    """What a chart shows on its horizontal axis, in the unit of `AXIS_TITLES`."""
    if axis == "speed":
        return row.decode_tps
    cost = row.cost(axis)
    return None if cost is None else cost / _MIB


def as_svg(judged: Sequence[Judged], picked: Pick, axis: CostAxis) -> str:
    """The picture; builds without both figures are left out and counted in the caption."""
    known = [
        (one, value, max(one.row.loss, LEAST_LOSS))
        for one in judged
        if (value := axis_value(one.row, axis)) and one.row.loss is not None
    ]
    source = judged[0].row.source_name
    body = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        _text(_LEFT, 24, f"Builds of {source}", 16, weight="bold"),
        _text(_LEFT, 44, picked.reason[:130], 11, fill="#555555"),
    ]
    if not known:
        return "\n".join([*body, _text(_LEFT, 90, "No build has both figures measured.", 12), "</svg>", ""])
    x, xs = _scale([value for _, value, _ in known], _LEFT, WIDTH - _RIGHT)
    y, ys = _scale([loss for _, _, loss in known], HEIGHT - _BOTTOM, _TOP)
    for tick in xs:
        body.append(_grid(x(tick), _TOP, x(tick), HEIGHT - _BOTTOM))
        body.append(_text(x(tick), HEIGHT - _BOTTOM + 18, f"{tick:g}", 11, anchor="middle"))
    for tick in ys:
        body.append(_grid(_LEFT, y(tick), WIDTH - _RIGHT, y(tick)))
        body.append(_text(_LEFT - 8, y(tick) + 4, f"{tick:g}", 11, anchor="end"))
    body.append(_text((_LEFT + WIDTH - _RIGHT) / 2, HEIGHT - 24, AXIS_TITLES[axis], 12, anchor="middle"))
    body.append(
        f'<text x="18" y="{(_TOP + HEIGHT - _BOTTOM) / 2:.0f}" font-size="12" text-anchor="middle"'
        f' transform="rotate(-90 18 {(_TOP + HEIGHT - _BOTTOM) / 2:.0f})">mean KL divergence, nats</text>'
    )
    line = sorted((x(value), y(loss)) for one, value, loss in known if one.on_frontier)
    if len(line) > 1:
        points = " ".join(f"{left:.1f},{top:.1f}" for left, top in line)
        body.append(f'<polyline points="{points}" fill="none" stroke="#2a7f62" stroke-width="1.5"/>')
    for one, value, loss in known:
        body += _build(one, picked, x(value), y(loss))
    left_out = len(judged) - len(known)
    if left_out:
        body.append(_text(WIDTH - _RIGHT, HEIGHT - 8, f"{left_out} not measured, left out", 10, anchor="end"))
    return "\n".join([*body, "</svg>", ""])


def _build(one: Judged, picked: Pick, left: float, top: float) -> list[str]:
    """A mark whose shape says what its colour says, with its name."""
    if picked.row is one.row:
        mark = f'<circle cx="{left:.1f}" cy="{top:.1f}" r="7" fill="#2a7f62" stroke="#111111" stroke-width="2"/>'
    elif one.broken:
        mark = f'<circle cx="{left:.1f}" cy="{top:.1f}" r="4" fill="none" stroke="#aaaaaa"/>'
    elif one.on_frontier:
        mark = f'<circle cx="{left:.1f}" cy="{top:.1f}" r="5" fill="#2a7f62"/>'
    else:
        mark = f'<rect x="{left - 4:.1f}" y="{top - 4:.1f}" width="8" height="8" fill="#4a6fa5"/>'
    told = f"{one.row.label}: KL {one.row.loss or 0:.4f}, {format_bytes(one.row.size_bytes)}"
    title = f"<title>{escape(told)}</title>"
    beside, anchor = (-10, "end") if left > WIDTH - 160 else (10, "start")
    return [f"<g>{title}{mark}</g>", _text(left + beside, top + 4, one.row.label, 11, anchor=anchor)]


def _grid(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#eeeeee"/>'


def _text(
    left: float,
    top: float,
    text: str,
    size: int,
    *,
    anchor: str = "start",
    fill: str = "#222222",
    weight: str = "normal",
) -> str:
    return (
        f'<text x="{left:.1f}" y="{top:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{fill}"'
        f' font-weight="{weight}">{escape(text)}</text>'
    )


def _scale(values: Sequence[float], start: float, end: float) -> tuple[Callable[[float], float], list[float]]:
    """Values onto a logarithmic axis from `start` to `end`, and its round ticks."""
    low, high = math.log10(min(values) / 1.2), math.log10(max(values) * 1.2)

    def place(value: float) -> float:
        return start + (math.log10(value) - low) / (high - low) * (end - start)

    powers = range(math.floor(low), math.ceil(high) + 1)
    ticks = [step * 10.0**power for power in powers for step in (1, 2, 5)]
    return place, [tick for tick in ticks if low <= math.log10(tick) <= high]
