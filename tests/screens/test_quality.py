"""The Quality screen by keys: parent found, a real measurement, its row and its figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.widgets import Input, Static

from edgetui.app import EdgetuiApp
from edgetui.screens.fields_dialog import FieldsDialog
from edgetui.screens.quality import QualityScreen
from edgetui.widgets.failure_bar import FailureBar
from edgetui.widgets.row_table import RowTable
from edgetui.widgets.settings_panel import SettingsPanel
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.pilot import Pilot

    from edgetui.services.lab import Lab


async def opened(pilot: Pilot[None]) -> QualityScreen:
    """From Models, with the demo model marked."""
    app = pilot.app
    await until(lambda: app.screen.query_one(RowTable).row_count > 0, pilot.pause)
    await pilot.press("m")
    await until(lambda: isinstance(app.screen, QualityScreen), pilot.pause)
    screen = app.screen
    assert isinstance(screen, QualityScreen)
    return screen


async def fill(pilot: Pilot[None], **values: str) -> None:
    await pilot.press("e")
    await until(lambda: isinstance(pilot.app.screen, FieldsDialog), pilot.pause)
    for name, value in values.items():
        pilot.app.screen.query_one(f"#{name}", Input).value = value
    await pilot.press("enter")
    await until(lambda: isinstance(pilot.app.screen, QualityScreen), pilot.pause)


async def test_a_model_is_measured_by_a_key_and_its_row_tells_all_figures(lab: Lab) -> None:
    app = EdgetuiApp(lab, mode="models")
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot)

        def text(selector: str) -> str:
            return str(screen.query_one(selector, Static).render())

        assert "no unquantized parent" in text("#setup")
        await until(lambda: "Press enter to measure" in text("#empty"), pilot.pause)
        await fill(pilot, chunks="1", context_tokens="64", tasks="false")
        assert "1 chunk of 64 tokens, without tasks" in text("#setup")
        await pilot.press("enter")
        table = screen.query_one(RowTable)
        await until(lambda: table.row_count == 1, pilot.pause)
        (record,) = await lab.quality.history()
        cells = [cell.plain for cell in table.get_row_at(0)]
        assert cells[0] == "SmolLM2-135M-Instruct.Q4_1" and cells[2] == "-"
        assert cells[5] == f"{record.row.perplexity.value:.3f}"
        facts = screen.query_one(SettingsPanel)
        await until(lambda: f"{record.row.perplexity.value:.4f}" in facts.text, pilot.pause)
        await pilot.press("x")
        assert "Press x again" in text("#setup")
        await pilot.press("x")
        await until(lambda: table.row_count == 0, pilot.pause)
        assert await lab.quality.history() == []


async def test_a_text_that_is_not_there_is_one_sentence_and_starts_nothing(lab: Lab) -> None:
    app = EdgetuiApp(lab, mode="models")
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot)
        await fill(pilot, text="/nowhere/at/all.txt")
        await pilot.press("enter")
        failure: Callable[[], str] = lambda: screen.query_one(FailureBar).message  # noqa: E731
        await until(lambda: "/nowhere/at/all.txt" in failure(), pilot.pause)
        assert await lab.jobs.list() == ()
        await pilot.press("escape", "escape")
        await until(lambda: app.current_mode == "models" and app.screen is not screen, pilot.pause)
