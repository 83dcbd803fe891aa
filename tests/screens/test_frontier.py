"""The Frontier screen by keys: a real sweep from the form to the pick, limits, chart, export."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from textual.widgets import Input, Static

from edgetui.app import EdgetuiApp
from edgetui.screens.fields_dialog import FieldsDialog
from edgetui.screens.frontier import FrontierScreen
from edgetui.screens.model_picker import ModelPicker
from edgetui.screens.name_file import NameFileDialog
from edgetui.widgets.frontier_chart import FrontierChart
from edgetui.widgets.row_table import RowTable
from tests.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from textual.pilot import Pilot

    from edgetui.services.lab import Lab


class Person:
    """Someone at the keyboard of the Frontier screen."""

    def __init__(self, pilot: Pilot[None]) -> None:
        self.pilot = pilot
        screen = pilot.app.screen
        assert isinstance(screen, FrontierScreen)
        self.screen = screen

    def rows(self) -> list[list[str]]:
        table = self.screen.query_one(RowTable)
        return [[cell.plain for cell in table.get_row_at(row)] for row in range(table.row_count)]

    def text(self, selector: str) -> str:
        return str(self.screen.query_one(selector, Static).render())

    async def fills(self, **values: str) -> None:
        """Fill a dialog's fields and apply it."""
        dialog = self.pilot.app.screen
        assert isinstance(dialog, FieldsDialog)
        for name, value in values.items():
            dialog.query_one(f"#{name}", Input).value = value
        await self.pilot.press("enter")

    async def sees(self, condition: object) -> None:
        assert callable(condition)
        await until(lambda: bool(condition()), self.pilot.pause)


@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
async def test_without_a_sweep_the_screen_says_what_to_press(lab: Lab, size: tuple[int, int]) -> None:
    app = EdgetuiApp(lab, mode="frontier")
    async with app.run_test(size=size) as pilot:
        person = Person(pilot)
        await person.sees(lambda: person.screen.query_one("#empty").display)
        assert "Press n to sweep" in person.text("#empty")
        assert not any(person.screen.check_action(action, ()) for action in ("limits", "chart", "export"))


async def test_a_sweep_from_the_form_to_the_pick_the_chart_and_the_export(lab: Lab, tmp_path: Path) -> None:
    app = EdgetuiApp(lab, mode="frontier")
    async with app.run_test(size=(100, 30)) as pilot:
        person = Person(pilot)
        await pilot.press("n")
        await person.sees(lambda: isinstance(app.screen, ModelPicker))
        await pilot.press("enter")
        await person.sees(lambda: isinstance(app.screen, FieldsDialog))
        assert "Q4_K_M" in app.screen.query_one("#builds", Input).value
        await person.fills(
            builds="Q4_0", chunks="2", context_tokens="64", tasks="false", prompt_tokens="16", generated_tokens="4",
            repetitions="2", threads="2",
        )  # fmt: skip
        await person.sees(lambda: "measured in" in person.text("#progress"))
        await person.sees(lambda: len(person.rows()) == 2)
        labels = [row[1] for row in person.rows()]
        assert labels == ["Q4_1 (source)", "Q4_0"]
        assert all(cell != "-" for row in person.rows() for cell in row[2:9])

        await pilot.press("l")
        await person.sees(lambda: isinstance(app.screen, FieldsDialog))
        await person.fills(max_size_mib="90")
        await person.sees(lambda: [row[0] for row in person.rows()] == [".", ">"])
        assert "Q4_0" in person.text("#pick") and "only one that keeps your limits" in person.text("#pick")

        await pilot.press("g", "v")
        chart = person.screen.query_one(FrontierChart)
        await person.sees(lambda: "decode, tok/s" in chart.text)
        assert "> Q4_0" in chart.text

        await pilot.press("g", "o")
        await person.sees(lambda: isinstance(app.screen, NameFileDialog))
        app.screen.query_one(Input).value = str(tmp_path / "out.json")
        await pilot.press("enter")
        await person.sees(lambda: "Written" in person.text("#progress"))
        told = json.loads((tmp_path / "out.json").read_text())
        assert [build["is_pick"] for build in told["builds"]] == [False, True]

        await pilot.press("s")
        await person.sees(lambda: isinstance(app.screen, NameFileDialog))
        app.screen.query_one(Input).value = str(tmp_path / "out.json")
        await pilot.press("enter")
        await person.sees(lambda: "already there" in str(app.screen.query_one(".problem", Static).render()))


async def test_a_build_that_makes_no_sense_is_one_sentence_and_starts_nothing(lab: Lab) -> None:
    app = EdgetuiApp(lab, mode="frontier")
    async with app.run_test(size=(100, 30)) as pilot:
        person = Person(pilot)
        await pilot.press("n")
        await person.sees(lambda: isinstance(app.screen, ModelPicker))
        await pilot.press("enter")
        await person.sees(lambda: isinstance(app.screen, FieldsDialog))
        await person.fills(builds="Q9_9")
        await person.sees(lambda: "knows no type Q9_9" in str(app.screen.query_one("#all-problem", Static).render()))
        assert app.screen.query_one("#builds", Input).value == "Q9_9"
        assert await lab.jobs.list() == ()
