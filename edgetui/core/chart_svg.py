"""Charts as SVG for documents: no scripts, nothing from outside, light or dark as the reader's system has it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from edgetui.core.charts import MARKS, BarChart, axes, tick_text, x_ticks
from edgetui.core.plain_text import plain_line
from edgetui.core.text_wrap import WrappedText

if TYPE_CHECKING:
    from edgetui.core.charts import Bar, Chart, LineChart

WIDTH = 860
_LINE_HEIGHT = 340
_LEFT, _RIGHT, _TOP, _BOTTOM = 76, 24, 64, 56
_BAR_STEP, _LABEL_WIDTH = 30, 330
_LABEL_SIZE, _LABEL_LINE, _LABEL_CHARACTERS = 12, 15, 44
"""Of a bar's label: as many characters of that size fit beside the bar, and a longer one takes more lines."""
_COLOURS = (("#2a7f62", "#5fd3a8"), ("#4a6fa5", "#8db4ee"), ("#a5533a", "#eea283"), ("#7a4fa0", "#c49be8"))
"""In light and in dark; marks tell series apart as well."""
_DASHES = ("", "6 3", "2 3", "8 3 2 3")
_STYLE = (
    ".bg{fill:#ffffff}.ink{fill:#1d2328}.dim{fill:#5b656e}.grid{stroke:#dfe3e6}.axis{stroke:#5b656e}"
    ".whisker{stroke:#1d2328;stroke-width:1.5}.bar{fill-opacity:0.6}"
    + "".join(f".f{n}{{fill:{light}}}.s{n}{{stroke:{light}}}" for n, (light, _) in enumerate(_COLOURS))
    + "@media (prefers-color-scheme: dark){.bg{fill:#14181b}.ink{fill:#e4e8eb}.dim{fill:#9aa5ae}.grid{stroke:#2b3238}"
    ".axis{stroke:#9aa5ae}.whisker{stroke:#e4e8eb}"
    + "".join(f".f{n}{{fill:{dark}}}.s{n}{{stroke:{dark}}}" for n, (_, dark) in enumerate(_COLOURS))
    + "}"
)


def as_svg(chart: Chart) -> str:
    """The picture, ready for a file or to stand inside an HTML page."""
    height, body = _bars(chart) if isinstance(chart, BarChart) else _lines(chart)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img"'
        f' font-family="system-ui, sans-serif"><title>{_safe(chart.title)}</title><style>{_STYLE}</style>'
        f'<rect class="bg" width="{WIDTH}" height="{height}"/>'
    )
    return "\n".join([head, *body, "</svg>", ""])


def _bars(chart: BarChart) -> tuple[int, list[str]]:
    labels = [
        [line.strip() for line in WrappedText(_LABEL_CHARACTERS, plain_line(bar.label)).lines] for bar in chart.bars
    ]
    # The step is the same for all bars: it takes the longest label.
    step = max([_BAR_STEP, *(_LABEL_LINE * len(lines) + 10 for lines in labels)])
    height = 48 + step * len(chart.bars) + 40
    room = WIDTH - _LABEL_WIDTH - _RIGHT - 90
    top = max((max(bar.value, bar.high or 0.0) for bar in chart.bars), default=1.0) or 1.0
    body = [_text(16, 28, chart.title, 15, weight="bold")]
    for number, (bar, lines) in enumerate(zip(chart.bars, labels, strict=True)):
        body += _bar(bar, lines, 48 + step * number + (step - _BAR_STEP) / 2, room / top)
    bottom = 48 + step * len(chart.bars) + 6
    body.append(_line(_LABEL_WIDTH, bottom, _LABEL_WIDTH + room, bottom, "axis"))
    for share in (0.0, 0.5, 1.0):
        at = _LABEL_WIDTH + room * share
        body.append(_text(at, bottom + 16, tick_text(float(f"{top * share:.3g}")), 11, anchor="middle", kind="dim"))
    body.append(_text(_LABEL_WIDTH + room + 20, bottom + 16, chart.unit, 11, kind="dim"))
    if any(bar.low is not None for bar in chart.bars):
        body.append(_text(16, bottom + 16, "whiskers: 95 % interval of the mean", 11, kind="dim"))
    return height, body


def _bar(bar: Bar, label: list[str], top: float, scale: float) -> list[str]:
    middle = top + 11
    first = middle + 4 - _LABEL_LINE * (len(label) - 1) / 2
    parts = [
        *(
            _text(_LABEL_WIDTH - 8, first + _LABEL_LINE * number, line, _LABEL_SIZE, anchor="end")
            for number, line in enumerate(label)
        ),
        f'<rect class="f0 bar" x="{_LABEL_WIDTH}" y="{top:g}" width="{max(1.0, bar.value * scale):.1f}" height="22"/>',
    ]
    end = bar.value
    if bar.low is not None and bar.high is not None:
        low, high = _LABEL_WIDTH + max(0.0, bar.low) * scale, _LABEL_WIDTH + bar.high * scale
        end = max(end, bar.high)
        parts.append(_line(low, middle, high, middle, "whisker"))
        parts += [_line(at, middle - 6, at, middle + 6, "whisker") for at in (low, high)]
    return [*parts, _text(_LABEL_WIDTH + end * scale + 8, middle + 4, f"{bar.value:.2f}{bar.note}", 12)]


def _lines(chart: LineChart) -> tuple[int, list[str]]:
    right, bottom = WIDTH - _RIGHT, _LINE_HEIGHT - _BOTTOM
    body = [_text(16, 24, chart.title, 15, weight="bold"), _text(16, 44, chart.y_label, 12, kind="dim")]
    both = axes(chart, right - _LEFT, bottom - _TOP)
    if both is None:
        return _LINE_HEIGHT, [*body, _text(_LEFT, 100, "Nothing to draw.", 12, kind="dim")]
    across, up = both
    for value in up.ticks(6):
        y = bottom - up.place(value)
        body += [
            _line(_LEFT, y, right, y, "grid"),
            _text(_LEFT - 8, y + 4, tick_text(value), 11, anchor="end", kind="dim"),
        ]
    for value, text in x_ticks(chart, across, 8):
        x = _LEFT + across.place(value)
        body += [_line(x, bottom, x, bottom + 5, "axis"), _text(x, bottom + 18, text, 11, anchor="middle", kind="dim")]
    body.append(_line(_LEFT, bottom, right, bottom, "axis"))
    body.append(_text((_LEFT + right) / 2, _LINE_HEIGHT - 12, chart.x_label, 12, anchor="middle", kind="dim"))
    for at, word in chart.verticals:
        x = _LEFT + across.place(at)
        body += [_line(x, _TOP, x, bottom, "axis", "4 4"), _text(x + 5, _TOP + 12, word, 11, kind="dim")]
    legend = 200.0
    for number, series in enumerate(chart.series):
        colour, mark = number % len(_COLOURS), MARKS[number % len(MARKS)]
        places = [
            (_LEFT + across.place(x), bottom - up.place(y)) for x, y in series.points if x > 0 or not chart.x_is_log
        ]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        dashes = f' stroke-dasharray="{_DASHES[colour]}"' if _DASHES[colour] else ""
        body.append(f'<polyline class="s{colour}" points="{path}" fill="none" stroke-width="1.5"{dashes}/>')
        if len(places) <= 60:
            body += [_text(x, y + 5, mark, 14, anchor="middle", kind=f"f{colour}") for x, y in places]
        if len(chart.series) > 1:
            body.append(_text(legend, 44, f"{mark} {series.name}", 12, kind=f"f{colour}"))
            legend += 30 + 7 * len(series.name)
    return _LINE_HEIGHT, body


def _line(x1: float, y1: float, x2: float, y2: float, kind: str, dashes: str = "") -> str:
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"{dashed}/>'


def _text(
    x: float, y: float, text: str, size: int, *, anchor: str = "start", kind: str = "ink", weight: str = "normal"
) -> str:
    return (
        f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}"'
        f' font-weight="{weight}">{_safe(text)}</text>'
    )


def _safe(text: str) -> str:
    """Nothing from outside is markup, and no character is one that XML forbids."""
    return escape(plain_line(text))
