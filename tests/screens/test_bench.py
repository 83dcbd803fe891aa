"""The Bench screen on real services and the real model."""

from __future__ import annotations

from collections.abc import Callable

from textual.pilot import Pilot
from textual.widgets import DataTable, Input, Static

from edgetui.app import EdgetuiApp
from edgetui.core.bench import Machine
from edgetui.core.models import ModelEntry
from edgetui.services.lab import Lab
from edgetui.store.history import History
from edgetui.widgets.bench_bars import BenchBars
from edgetui.widgets.failure_bar import FailureBar
from tests.services.test_bench import record
from tests.waiting import until


async def shown(pilot: Pilot[None], condition: Callable[[], bool]) -> None:
    await until(condition, pilot.pause)


def rows(app: EdgetuiApp) -> list[tuple[str, ...]]:
    table = app.screen.query_one(DataTable)
    return [tuple(str(cell) for cell in table.get_row_at(row)) for row in range(table.row_count)]


def line(app: EdgetuiApp, name: str) -> str:
    return str(app.screen.query_one(name, Static).content)


def keep(lab: Lab, name: str, samples_ms: list[int], test: str = "tg") -> None:
    History(lab.database).add(record(name, samples_ms, test=test).row, Machine(), None)


async def test_a_model_is_measured_by_keys_alone(lab: Lab, demo_entry: ModelEntry) -> None:
    app = EdgetuiApp(lab, mode="bench")
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, lambda: app.screen.query_one("#empty").display)
        await pilot.press("m")
        await shown(pilot, lambda: len(app.screen_stack) == 2)
        await pilot.press("enter")
        await shown(pilot, lambda: len(app.screen_stack) == 1 and demo_entry.name in line(app, "#setup"))
        await pilot.press("e")
        await shown(pilot, lambda: len(app.screen_stack) == 2)
        for name, value in [("prompt_tokens", "8"), ("generated_tokens", "4"), ("repetitions", "2"), ("threads", "1")]:
            app.screen.query_one(f"#{name}", Input).value = value
        await pilot.press("enter")
        await shown(pilot, lambda: len(app.screen_stack) == 1 and "pp 8  tg 4  2 repetitions" in line(app, "#setup"))
        await pilot.press("enter")
        await shown(pilot, lambda: len(rows(app)) == 2)
        assert {row[2] for row in rows(app)} == {"pp8", "tg4"}
        await shown(pilot, lambda: "tok/s" in line(app, "#progress"))


async def test_a_wrong_setting_is_named_beside_its_field(lab: Lab) -> None:
    app = EdgetuiApp(lab, mode="bench")
    async with app.run_test() as pilot:
        await pilot.press("e")
        await shown(pilot, lambda: len(app.screen_stack) == 2)
        app.screen.query_one("#repetitions", Input).value = "0"
        app.screen.query_one("#kv_cache_type", Input).value = "q9"
        await pilot.press("enter")
        assert "expected int >= 1" in line(app, "#repetitions-problem")
        assert "q9" in line(app, "#kv_cache_type-problem")
        await pilot.press("escape")
        await shown(pilot, lambda: "5 repetitions" in line(app, "#setup"))


async def test_two_marked_rows_are_compared(lab: Lab) -> None:
    keep(lab, "fast", [500, 505, 495])
    keep(lab, "slow", [1000, 1010, 990])
    app = EdgetuiApp(lab, mode="bench")
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, lambda: len(rows(app)) == 2)
        await pilot.press("space", "down", "space")
        await shown(pilot, lambda: [row[0] for row in rows(app)] == ["*", "*"])
        await pilot.press("c")
        bars = app.screen.query_one(BenchBars)
        await shown(pilot, lambda: "fast is faster than slow by 2.00x" in bars.text)
        lengths = {text.split()[0]: sum(c in "━╸#" for c in text) for text in bars.text.splitlines()[1:]}
        assert lengths["fast"] == 2 * lengths["slow"] or abs(lengths["fast"] - 2 * lengths["slow"]) <= 1


async def test_rows_of_different_tests_are_refused_with_the_reason(lab: Lab) -> None:
    keep(lab, "a", [500, 505])
    keep(lab, "a", [500, 505], test="pp")
    app = EdgetuiApp(lab, mode="bench")
    async with app.run_test() as pilot:
        await shown(pilot, lambda: len(rows(app)) == 2)
        await pilot.press("space", "down", "space", "c")
        await shown(pilot, lambda: "different tests" in app.screen.query_one(FailureBar).message)


async def test_a_row_is_deleted_only_when_the_key_is_pressed_twice(lab: Lab) -> None:
    keep(lab, "a", [500, 505])
    keep(lab, "b", [500, 505])
    app = EdgetuiApp(lab, mode="bench")
    async with app.run_test() as pilot:
        await shown(pilot, lambda: len(rows(app)) == 2)
        await pilot.press("x")
        assert "Press x again" in line(app, "#progress")
        await pilot.press("down", "x")
        assert len(rows(app)) == 2
        await pilot.press("x")
        await shown(pilot, lambda: [row[1] for row in rows(app)] == ["b"])


async def test_the_filter_narrows_the_history(lab: Lab) -> None:
    keep(lab, "alpha", [500, 505])
    keep(lab, "beta", [500, 505])
    app = EdgetuiApp(lab, mode="bench")
    async with app.run_test() as pilot:
        await shown(pilot, lambda: len(rows(app)) == 2)
        await pilot.press("slash", *"alp")
        await shown(pilot, lambda: [row[1] for row in rows(app)] == ["alpha"])
        await pilot.press("escape")
        await shown(pilot, lambda: len(rows(app)) == 2)
