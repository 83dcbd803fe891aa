"""The Bench screen on real services and the real model."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
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
        assert "at least 1" in line(app, "#repetitions-problem")
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


async def test_two_rows_of_one_model_are_told_apart_and_wholly_readable_in_80_cells(lab: Lab) -> None:
    name = "A-model-with-quite-a-long-name-Instruct.Q4_K_M"
    keep(lab, name, [500, 505, 495])
    slow = record(name, [1000, 1010, 990]).row
    History(lab.database).add(msgspec.structs.replace(slow, threads=2), Machine(), None)
    app = EdgetuiApp(lab, mode="bench")
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, lambda: len(rows(app)) == 2)
        await pilot.press("space", "down", "space", "c")
        bars = app.screen.query_one(BenchBars)
        await shown(pilot, lambda: "2.00x" in bars.text)
        assert all(len(text) <= 80 for text in bars.text.splitlines())
        told = " ".join(bars.text.split())
        assert "1 thread is faster than 2 threads by 2.00x (95 % interval 1.9" in told
        # Newest first, as the rows stand in the list above.
        assert [text.split()[:2] for text in bars.text.splitlines()[-2:]] == [["2", "threads"], ["1", "thread"]]


async def test_a_long_history_shows_its_newest_rows_and_says_so(lab: Lab) -> None:
    for number in range(203):
        keep(lab, f"model-{number}", [500, 505])
    app = EdgetuiApp(lab, mode="bench")
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, lambda: len(rows(app)) == 200)
        assert rows(app)[0][1] == "model-202"
        assert "200 of 203" in line(app, "#more")
        await pilot.press("slash", *"model-1")
        await shown(pilot, lambda: not app.screen.query_one("#more").display)
