"""The dialog of commands, opened from a row of Bench and from an answer in Run."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import msgspec
import pytest
from textual.widgets import DataTable, Input, Static

from edgetui.app import EdgetuiApp
from edgetui.core.bench import Machine
from edgetui.core.run_settings import SamplingSettings
from edgetui.screens.model_picker import ModelPicker
from edgetui.screens.name_file import NameFileDialog
from edgetui.screens.repeat_dialog import RepeatDialog
from edgetui.screens.run import RunScreen
from edgetui.screens.side_by_side import SideBySideScreen
from edgetui.store.history import History
from edgetui.widgets.failure_bar import FailureBar
from edgetui.widgets.prompt_input import PromptInput
from edgetui.widgets.run_figures import RunFiguresPanel
from edgetui.widgets.transcript import Transcript
from tests.services.test_bench import record
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from textual.pilot import Pilot

    from edgetui.core.models import ModelEntry
    from edgetui.services.lab import Lab


async def dialog_of_the_row(app: EdgetuiApp, pilot: Pilot[None]) -> RepeatDialog:
    """The dialog of the only row in Bench."""
    await until(lambda: app.screen.query_one(DataTable).row_count == 1, pilot.pause)
    await pilot.press("ctrl+e")
    await until(lambda: isinstance(app.screen, RepeatDialog), pilot.pause)
    assert isinstance(app.screen, RepeatDialog)
    return app.screen


async def test_a_rows_commands_are_looked_at_copied_and_written(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TMUX", raising=False)
    History(lab.database).add(record("fast", [500, 505], test="tg").row, Machine(), None)
    app = EdgetuiApp(lab, mode="bench")
    async with app.run_test(size=(80, 24)) as pilot:
        dialog = await dialog_of_the_row(app, pilot)
        assert dialog.chosen.tool == "edgetui"
        await pilot.press("right", "y")
        assert dialog.chosen.tool == "llama-bench"
        assert app.clipboard == dialog.chosen.text
        said = str(dialog.query_one("#said", Static).content)
        assert said == "Copied the command of llama-bench, if the terminal allows it; o writes it to a file."
        assert "llama-bench -m" in str(dialog.query_one("#command", Static).content)

        target = tmp_path / "again.sh"
        for wanted in ("Written", "already there"):
            await pilot.press("o")
            await until(lambda: isinstance(app.screen, NameFileDialog), pilot.pause)
            asked = app.screen
            asked.query_one(Input).value = str(target)
            await pilot.press("enter")
            place = dialog.query_one("#said", Static) if wanted == "Written" else asked.query_one(".problem", Static)
            await until(lambda wanted=wanted, place=place: wanted in str(place.content), pilot.pause)  # type: ignore[misc]
        await pilot.press("escape")
        assert target.read_text() == dialog.chosen.text + "\n"
        await pilot.press("escape")
        assert not isinstance(app.screen, RepeatDialog)


async def test_within_tmux_its_buffer_has_the_copy(lab: Lab, tmux_buffer: Callable[[], str]) -> None:
    History(lab.database).add(record("fast", [500, 505], test="tg").row, Machine(), None)
    app = EdgetuiApp(lab, mode="bench")
    async with app.run_test(size=(80, 24)) as pilot:
        dialog = await dialog_of_the_row(app, pilot)
        await pilot.press("y")
        said = dialog.query_one("#said", Static)
        await until(lambda: "to tmux's buffer" in str(said.content), pilot.pause)
        assert tmux_buffer() == dialog.chosen.text


async def test_the_last_answer_in_run_is_repeated_with_what_it_was_made_with(lab: Lab, demo_entry: ModelEntry) -> None:
    lab.settings = msgspec.structs.replace(
        lab.settings,
        load=msgspec.structs.replace(lab.settings.load, context_tokens=512),
        sampling=SamplingSettings(max_tokens=4),
    )
    app = EdgetuiApp(lab, mode="run")
    async with app.run_test(size=(80, 24)) as pilot:
        screen = app.screen
        assert isinstance(screen, RunScreen)
        await screen.open_model(demo_entry)
        await until(lambda: screen.query_one(RunFiguresPanel).figures.state == "ready", pilot.pause)
        screen.query_one(PromptInput).insert("What's rain?")
        await pilot.press("enter")
        transcript = screen.query_one(Transcript)
        await until(lambda: "ended at the limit of tokens" in transcript.text_of("note"), pilot.pause)
        await pilot.press("ctrl+e")
        await until(lambda: isinstance(app.screen, RepeatDialog), pilot.pause)
        dialog = app.screen
        assert isinstance(dialog, RepeatDialog)
        # The settings file says context and tokens here, and elsewhere it does not: they are written out.
        assert "-c 512" in dialog.chosen.text and "-n 4" in dialog.chosen.text and "--seed " in dialog.chosen.text
        await pilot.press("right", "right")
        assert dialog.chosen.language == "python" and '"What\'s rain?"' in dialog.chosen.text
        await pilot.press("escape")

        # Another model is asked and dies before it answers: the last answer is still the one before.
        other = msgspec.structs.replace(demo_entry, name="lab")
        await screen.open_model(other)
        await until(lambda: lab.inference.entry == other and not screen.session.busy, pilot.pause)
        pid = lab.inference.worker_pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        screen.query_one(PromptInput).insert("And snow?")
        await pilot.press("enter")
        await until(lambda: transcript.text_of("user")[-1:] == ["And snow?"], pilot.pause)
        os.kill(pid, signal.SIGKILL)
        await until(lambda: "SIGKILL" in screen.query_one(FailureBar).message, pilot.pause)
        await until(lambda: not screen.session.busy, pilot.pause)
        await pilot.press("ctrl+e")
        await until(lambda: isinstance(app.screen, RepeatDialog), pilot.pause)
        dialog = app.screen
        assert isinstance(dialog, RepeatDialog)
        title = str(dialog.query_one(".dialog-title", Static).content)
        assert f"the last answer of {demo_entry.name} " in title and "rain" in dialog.chosen.text
        await pilot.press("escape", "ctrl+k")
        await until(lambda: isinstance(app.screen, ModelPicker), pilot.pause)
        await pilot.press("escape")
        await until(lambda: isinstance(app.screen, SideBySideScreen), pilot.pause)
        (column,) = lab.side_by_side.columns
        assert column.entry == other and column.load.context_tokens == 512
