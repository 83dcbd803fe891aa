"""The Choose screen: a ranking by limits, its reasons, its chart, and other boards."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from textual.pilot import Pilot
from textual.widgets import DataTable, Input, Static

from edgetui.app import EdgetuiApp
from edgetui.screens.hub_page import HubPageScreen
from edgetui.services.lab import Lab
from edgetui.widgets.facts_panel import FactsPanel
from edgetui.widgets.scatter_chart import Point, ScatterChart
from tests.hub.server import LoopbackHub
from tests.waiting import until


def rows(app: EdgetuiApp) -> list[list[str]]:
    table = app.screen.query_one(DataTable)
    return [[str(cell) for cell in table.get_row_at(row)] for row in range(table.row_count)]


def asked(app: EdgetuiApp) -> str:
    return str(app.screen.query_one("#asked", Static).content)


def reasons(app: EdgetuiApp) -> str:
    return app.screen.query_one(FactsPanel).text


async def shown(pilot: Pilot[None], condition: Callable[[], bool]) -> None:
    await until(condition, pilot.pause)


async def choose_board(app: EdgetuiApp, pilot: Pilot[None], downs: int) -> None:
    await pilot.press("b")
    await shown(pilot, lambda: type(app.screen).__name__ == "BoardPicker")
    await pilot.press(*["down"] * downs, "enter")


@pytest.mark.parametrize("size", [(80, 24), (200, 60), (40, 10)])
async def test_models_are_ranked_with_reasons_and_no_speed_that_nobody_knows(lab: Lab, size: tuple[int, int]) -> None:
    app = EdgetuiApp(lab, mode="recommend")
    async with app.run_test(size=size) as pilot:
        await shown(pilot, lambda: len(rows(app)) > 3)
        assert "this machine is not calibrated; c measures it" in asked(app)
        assert rows(app)[0][0] == "1" and "-" in rows(app)[0]
        await shown(pilot, lambda: "first: keeps all limits" in " ".join(reasons(app).split()))
        first = reasons(app)
        await pilot.press("down")
        await shown(pilot, lambda: reasons(app) != first)
        await pilot.press("k")
        await shown(pilot, lambda: asked(app).startswith("Copied: edgetui download "))
        assert re.fullmatch(r"edgetui download \S+/\S+ Q\w+", app.clipboard)


async def test_a_board_is_asked_about_by_its_data_sheet_and_its_limits_changed(lab: Lab) -> None:
    app = EdgetuiApp(lab, mode="recommend")
    async with app.run_test(size=(120, 40)) as pilot:
        await shown(pilot, lambda: len(rows(app)) > 3)
        await choose_board(app, pilot, 3)
        await shown(
            pilot, lambda: asked(app).startswith("Raspberry Pi 5 (8 GB): 7.25 GiB of 8 GiB, 0.75 taken to be its")
        )
        assert all(row[5].startswith("<") for row in rows(app))
        count = len(rows(app))
        await pilot.press("c")
        assert asked(app).startswith("Raspberry Pi 5"), "another board cannot be measured from here"
        await pilot.press("l")
        await shown(pilot, lambda: type(app.screen).__name__ == "FieldsDialog")
        field = app.screen.query_one("#least_tps", Input)
        field.value = "20"
        await pilot.press("enter")
        await shown(pilot, lambda: "at least 20 tok/s" in asked(app))
        assert 0 < len(rows(app)) < count
        await pilot.press("a")
        await shown(pilot, lambda: len(rows(app)) > count)
        assert "at most ~" in rows(app)[-1][-1] or "needs ~" in rows(app)[-1][-1]
        await choose_board(app, pilot, 0)
        await shown(pilot, lambda: asked(app).startswith("this machine: "))


async def test_limits_that_nothing_keeps_say_what_to_do(lab: Lab) -> None:
    app = EdgetuiApp(lab, mode="recommend")
    async with app.run_test(size=(100, 30)) as pilot:
        await shown(pilot, lambda: len(rows(app)) > 3)
        await pilot.press("l")
        await shown(pilot, lambda: type(app.screen).__name__ == "FieldsDialog")
        app.screen.query_one("#memory_gib", Input).value = "0.01"
        app.screen.query_one("#task", Input).value = "cooking"
        await pilot.press("enter")
        await shown(pilot, lambda: app.screen.query_one("#task-problem", Static).display)
        app.screen.query_one("#task", Input).value = ""
        await pilot.press("enter")
        await shown(pilot, lambda: rows(app) == [])
        assert "No model keeps all of these limits: a lists what each one breaks" in reasons(app)


async def test_the_chart_marks_the_frontier_and_the_chosen_row_and_names_its_axes(lab: Lab) -> None:
    app = EdgetuiApp(lab, mode="recommend")
    async with app.run_test(size=(200, 50)) as pilot:
        await shown(pilot, lambda: len(rows(app)) > 3)
        await choose_board(app, pilot, 6)
        await shown(pilot, lambda: asked(app).startswith("Jetson Orin Nano"))
        await pilot.press("g")
        chart = app.screen.query_one(ScatterChart)
        await shown(pilot, lambda: "tok/s, at most" in chart.text)
        name = rows(app)[0][1]
        await shown(pilot, lambda: f"@ {name}" in chart.text or f"{name} @" in chart.text)
        assert all(mark in chart.text for mark in "@*o") and "* frontier  o keeps limits" in chart.text
        await pilot.press("v")
        await shown(pilot, lambda: "parameters" in chart.text)
        await pilot.press("g")
        await shown(pilot, lambda: not chart.display)


async def test_a_chart_without_speeds_says_so(lab: Lab) -> None:
    app = EdgetuiApp(lab, mode="recommend")
    async with app.run_test(size=(100, 30)) as pilot:
        await shown(pilot, lambda: len(rows(app)) > 3)
        await pilot.press("g")
        chart = app.screen.query_one(ScatterChart)
        await shown(pilot, lambda: "Nothing to draw: no speed is known." in chart.text)
        chart.show([Point(10, 5, "o"), Point(10, 5, "@")], "x", "y", "", str, y_is_log=False)
        assert chart.text.count("@") == 1 and "o" not in chart.text


async def test_columns_are_whole_again_when_the_window_has_grown(lab: Lab) -> None:
    app = EdgetuiApp(lab, mode="recommend")
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, lambda: len(rows(app)) > 3)
        for size in ((50, 12), (80, 24)):
            await pilot.resize_terminal(*size)
            await pilot.pause()
        table = app.screen.query_one(DataTable)
        names = [row[1] for row in rows(app)]
        assert table.ordered_columns[1].width == max(map(len, names))
        drawn = "\n".join(table.render_line(y).text for y in range(4))
        assert names[0] in drawn and names[1] in drawn


async def test_enter_opens_the_marked_models_page_on_the_hub(hub_lab: Lab, hub: LoopbackHub) -> None:
    app = EdgetuiApp(hub_lab, mode="recommend")
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, lambda: len(rows(app)) > 3)
        await pilot.press("enter")
        await shown(pilot, lambda: isinstance(app.screen, HubPageScreen))
        await shown(pilot, lambda: any(seen.path.startswith("/api/models/") for seen in hub.requests))
        assert app.current_mode == "hub"
