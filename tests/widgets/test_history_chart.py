"""The generic chart, drawn in an app."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import App

from edgetui.core.hardware_text import format_share
from edgetui.core.units import format_rate
from edgetui.widgets.bars import ASCII, BLOCKS
from edgetui.widgets.history_chart import HistoryChart

if TYPE_CHECKING:
    from textual.app import ComposeResult


class ChartApp(App[None]):
    """One chart and nothing else."""

    def __init__(self, chart: HistoryChart) -> None:
        super().__init__()
        self.chart = chart

    def compose(self) -> ComposeResult:
        yield self.chart


async def test_the_newest_value_stands_beside_the_bars_with_least_and_largest() -> None:
    app = ChartApp(HistoryChart("LOAD", format_share, high=1.0, glyphs=BLOCKS))
    async with app.run_test(size=(60, 10)) as pilot:
        for value in (0.0, 1.0, 0.5):
            app.chart.push(value)
        await pilot.pause()
        first, second = app.chart.text.splitlines()
        assert first.startswith("LOAD        50 %") and first.endswith("█  max 100 %")
        assert "last 3 s" in second and second.endswith("▁██ min 0 %")
        assert app.chart.size.height == 2


async def test_a_narrow_chart_piles_up_so_that_nothing_is_lost() -> None:
    app = ChartApp(HistoryChart("DECODE", format_rate, rows=2, glyphs=ASCII))
    async with app.run_test(size=(22, 10)) as pilot:
        for value in (100.0, 112.4, None):
            app.chart.push(value)
        await pilot.pause()
        lines = app.chart.text.splitlines()
        assert lines[0] == "DECODE               -"
        assert lines[-1] == "min 100.0 tok/s max 112.4 tok/s"
        assert len(lines) == 4
        assert app.chart.text.isascii()


async def test_the_window_forgets_what_is_older() -> None:
    app = ChartApp(HistoryChart("X", format_share, window=5, high=1.0, glyphs=BLOCKS))
    async with app.run_test(size=(60, 10)) as pilot:
        app.chart.push(1.0)
        for _ in range(5):
            app.chart.push(0.0)
        await pilot.pause()
        assert "max 0 %" in app.chart.text and "last 5 s" in app.chart.text
        app.chart.clear()
        await pilot.pause()
        assert "max -" in app.chart.text and "█" not in app.chart.text


async def test_more_rows_make_the_chart_taller() -> None:
    app = ChartApp(HistoryChart("X", format_share, rows=1, high=1.0, glyphs=BLOCKS))
    async with app.run_test(size=(60, 10)) as pilot:
        app.chart.push(0.5)
        await pilot.pause()
        assert app.chart.size.height == 1 and app.chart.text.endswith("50 % to 50 %")
        app.chart.rows = 3
        await pilot.pause()
        assert app.chart.size.height == 3
