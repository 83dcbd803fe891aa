"""The dialog of commands, opened from a row of Bench."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.widgets import DataTable, Input, Static

from edgetui.app import EdgetuiApp
from edgetui.core.bench import Machine
from edgetui.screens.name_file import NameFileDialog
from edgetui.screens.repeat_dialog import RepeatDialog
from edgetui.store.history import History
from tests.services.test_bench import record
from tests.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from edgetui.services.lab import Lab


async def test_a_rows_commands_are_looked_at_copied_and_written(lab: Lab, tmp_path: Path) -> None:
    History(lab.database).add(record("fast", [500, 505], test="tg").row, Machine(), None)
    app = EdgetuiApp(lab, mode="bench")
    async with app.run_test(size=(80, 24)) as pilot:
        await until(lambda: app.screen.query_one(DataTable).row_count == 1, pilot.pause)
        await pilot.press("ctrl+e")
        await until(lambda: isinstance(app.screen, RepeatDialog), pilot.pause)
        dialog = app.screen
        assert isinstance(dialog, RepeatDialog)
        assert dialog.chosen.tool == "edgetui"
        await pilot.press("right", "y")
        assert dialog.chosen.tool == "llama-bench"
        assert app.clipboard == dialog.chosen.text
        assert "llama-bench -m" in str(dialog.query_one("#command", Static).content)

        target = tmp_path / "again.sh"
        for said in ("Written", "there already"):
            await pilot.press("w")
            await until(lambda: isinstance(app.screen, NameFileDialog), pilot.pause)
            app.screen.query_one(Input).value = str(target)
            await pilot.press("enter")
            await until(lambda said=said: said in str(dialog.query_one("#said", Static).content), pilot.pause)  # type: ignore[misc]
        assert target.read_text() == dialog.chosen.text + "\n"
        await pilot.press("escape")
        assert not isinstance(app.screen, RepeatDialog)
