"""Charts as data: bars with intervals, and series over one axis; drawn for terminals and as SVG elsewhere."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

MARKS = "*o+x#@%&"
"""One a series, all of them in ASCII: a chart must read without colour and in any locale."""


class Bar(NamedTuple):
    """One bar with the interval that its value lies in, where it is known."""

    label: str
    value: float
    low: float | None = None
    high: float | None = None
    note: str = ""
    """Beside the figure, such as a mark for a noisy row."""


class BarChart(NamedTuple):
    """Bars from zero on a common scale."""

    title: str
    unit: str
    bars: tuple[Bar, ...]


class Series(NamedTuple):
    """Points of one name, in the order of x."""

    name: str
    points: tuple[tuple[float, float], ...]


class LineChart(NamedTuple):
    """Series over one axis."""

    title: str
    x_label: str
    y_label: str
    """With its unit."""
    series: tuple[Series, ...]
    x_kind: Literal["number", "time", "names"] = "number"
    """`time` is Unix seconds, `names` an index into `x_names`."""
    x_names: tuple[str, ...] = ()
    x_is_log: bool = False
    verticals: tuple[tuple[float, str], ...] = ()
    """Places on x with a word each, such as a knee."""


Chart = BarChart | LineChart


class Axis:
    """Values onto a length, with round ticks."""

    def __init__(
        self, values: Sequence[float], length: float, *, is_log: bool = False, from_zero: bool = False
    ) -> None:
        """`values` must not be empty, and be positive where the axis is logarithmic."""
        self.is_log = is_log
        self._length = length
        low, high = min(values), max(values)
        if is_log:
            self._low, self._high = math.log10(low), math.log10(high)
            room = max((self._high - self._low) * 0.04, 0.02)
        else:
            self._low, self._high = (min(0.0, low) if from_zero else low), high
            # A flat line stands in the middle of a few per cent of its value.
            room = (self._high - self._low) * 0.06 or abs(high) * 0.05 or 1.0
        self._high += room
        if not from_zero:
            self._low -= room

    def place(self, value: float) -> float:
        """From 0 to the length."""
        share = ((math.log10(value) if self.is_log else value) - self._low) / (self._high - self._low)
        return min(1.0, max(0.0, share)) * self._length

    def ticks(self, most: int) -> list[float]:
        """At most `most` round values on the axis."""
        if self.is_log:
            powers = range(math.floor(self._low) - 1, math.ceil(self._high) + 1)
            for steps in ((1, 2, 5), (1,)):
                found = [step * 10.0**power for power in powers for step in steps]
                found = [value for value in found if self._low <= math.log10(value) <= self._high]
                if len(found) <= most:
                    break
            return found[:most]
        step = 10.0 ** math.floor(math.log10(self._high - self._low)) / 10
        for factor in (1, 2, 5, 10, 20, 50, 100):
            first, last = math.ceil(self._low / (step * factor)), math.floor(self._high / (step * factor))
            if last - first < most:
                return [number * step * factor for number in range(first, last + 1)]
        return []


def tick_text(value: float) -> str:
    """A tick without needless digits."""
    return f"{value:.6g}" if abs(value) < 1e6 else f"{value:g}"


def x_ticks(chart: LineChart, axis: Axis, most: int) -> list[tuple[float, str]]:
    """Ticks of the horizontal axis with their words."""
    if chart.x_kind == "names":
        step = max(1, math.ceil(len(chart.x_names) / max(1, most)))
        return [(float(number), name) for number, name in enumerate(chart.x_names) if number % step == 0]
    values = sorted({x for series in chart.series for x, _ in series.points if x > 0 or not chart.x_is_log})
    if chart.x_kind == "number" and len(values) <= most and all(map(_is_short, values)):
        # What was measured says more than round values between.
        return [(value, tick_text(value)) for value in values]
    if chart.x_kind == "number":
        return [(value, tick_text(value)) for value in axis.ticks(most)]
    form = "%m-%d" if values[-1] - values[0] > 2 * 86_400 else "%m-%d %H:%M"
    count = min(most, len(values))
    chosen = [values[round(number * (len(values) - 1) / max(1, count - 1))] for number in range(count)]
    return [(value, time.strftime(form, time.localtime(value))) for value in chosen]


def _is_short(value: float) -> bool:
    """Whole, or of no more than three digits."""
    return value.is_integer() or float(f"{value:.3g}") == value


def axes(chart: LineChart, width: float, height: float) -> tuple[Axis, Axis] | None:
    """Both axes; None where there is nothing to draw."""
    points = [point for series in chart.series for point in series.points]
    if chart.x_is_log:
        points = [point for point in points if point[0] > 0]
    if not points:
        return None
    xs = [x for x, _ in points] + [x for x, _ in chart.verticals]
    return Axis(xs, width, is_log=chart.x_is_log), Axis(
        [y for _, y in points], height, from_zero=_starts_at_zero(points)
    )


def _starts_at_zero(points: Sequence[tuple[float, float]]) -> bool:
    """A rate that hardly moves would be a flat line at the top; there the axis is cut, and its ticks say so."""
    heights = [y for _, y in points]
    return min(heights) >= 0 and min(heights) < 0.7 * max(heights)
