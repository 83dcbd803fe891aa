"""The Olive screen, driven by keys, on real services."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from textual.widgets import Input, OptionList, Static, TextArea

from edgetui.app import EdgetuiApp
from edgetui.screens.confirm import ConfirmDialog
from edgetui.screens.fields_dialog import FieldsDialog
from edgetui.screens.name_file import NameFileDialog
from edgetui.screens.olive import OliveScreen
from edgetui.widgets.failure_bar import FailureBar
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.pilot import Pilot

    from edgetui.core.models import ModelEntry
    from edgetui.services.lab import Lab
    from tests.olive_models import Made


class Person:
    """Someone at the keyboard of the Olive screen."""

    def __init__(self, pilot: Pilot[None], screen: OliveScreen) -> None:
        self.pilot = pilot
        self.screen = screen
        self.json = screen.query_one(TextArea)
        self.list = screen.query_one("#workflows", OptionList)

    @property
    def marked(self) -> str | None:
        option = self.list.highlighted_option
        return None if option is None else option.id

    @property
    def verdict(self) -> str:
        return str(self.screen.query_one("#verdict", Static).render())

    @property
    def settings(self) -> str:
        return str(self.screen.query_one("#settings", Static).render())

    @property
    def failure(self) -> str:
        return self.screen.query_one(FailureBar).message

    async def sees(self, condition: Callable[[], object]) -> None:
        await until(lambda: bool(condition()), self.pilot.pause)

    async def write(self, text: str) -> None:
        """Replace what stands in the dialog's field, and take it."""
        field = self.pilot.app.screen.query_one(Input)
        field.value = text
        await self.pilot.press("enter")


async def opened(pilot: Pilot[None], entry: ModelEntry) -> Person:
    screen = OliveScreen(entry)
    await pilot.app.push_screen(screen)
    person = Person(pilot, screen)
    await person.sees(lambda: person.json.text and person.marked)
    return person


@pytest.fixture
def safetensors(demo_entry: ModelEntry) -> ModelEntry:
    """A model of that format, of which nothing is read here."""
    import msgspec

    return msgspec.structs.replace(demo_entry, format="safetensors", name="demo")


async def test_the_form_and_the_json_say_the_same(lab: Lab, safetensors: ModelEntry) -> None:
    async with EdgetuiApp(lab, mode="quantize").run_test(size=(100, 30)) as pilot:
        person = await opened(pilot, safetensors)
        # The first that takes the model.
        assert person.marked == "olive-convert"
        await pilot.press("down", "down")
        await person.sees(lambda: "Gptq" in person.json.text)
        assert "Group size: 32" in person.settings
        await pilot.press("e")
        await person.sees(lambda: isinstance(pilot.app.screen, FieldsDialog))
        pilot.app.screen.query_one("#group_size", Input).value = "64"
        await pilot.press("enter")
        await person.sees(lambda: "Group size: 64" in person.settings)
        assert json.loads(person.json.text)["passes"]["quantize"]["group_size"] == 64
        await pilot.press("escape")
        await person.sees(lambda: pilot.app.screen is not person.screen)


async def test_broken_json_is_told_with_its_line_and_neither_saved_nor_run(lab: Lab, safetensors: ModelEntry) -> None:
    async with EdgetuiApp(lab, mode="quantize").run_test(size=(80, 24)) as pilot:
        person = await opened(pilot, safetensors)
        await pilot.press("tab")
        await person.sees(lambda: person.json.has_focus)
        await pilot.press("down", "comma")
        await person.sees(lambda: "not valid JSON at line 2" in person.verdict)
        await pilot.press("ctrl+s")
        await person.sees(lambda: "not valid JSON at line 2" in person.failure)
        await pilot.press("ctrl+r")
        await pilot.pause()
        assert await lab.jobs.list() == () and await lab.olive.saved() == ()
        await pilot.press("escape")
        await person.sees(lambda: person.list.has_focus)


async def test_an_edited_workflow_is_saved_listed_and_replaced_only_after_a_question(
    lab: Lab, safetensors: ModelEntry
) -> None:
    async with EdgetuiApp(lab, mode="quantize").run_test(size=(100, 30)) as pilot:
        person = await opened(pilot, safetensors)
        person.json.load_text(person.json.text.replace("fp32", "int4"))
        await person.sees(lambda: "edited" in person.verdict)
        await pilot.press("ctrl+s")
        await person.sees(lambda: isinstance(pilot.app.screen, NameFileDialog))
        await person.write("small")
        await person.sees(lambda: person.marked == "saved small")
        assert '"int4"' in (lab.olive.folder / "small.json").read_text()
        # Olive is not installed in this home, which the verdict says.
        await person.sees(lambda: "toolchain install olive" in person.verdict)
        await pilot.press("ctrl+s")
        await person.sees(lambda: isinstance(pilot.app.screen, NameFileDialog))
        await person.write("small")
        await person.sees(lambda: isinstance(pilot.app.screen, ConfirmDialog))
        await pilot.press("escape")
        await person.sees(lambda: isinstance(pilot.app.screen, NameFileDialog))
        await pilot.press("escape")
        await person.sees(lambda: pilot.app.screen is person.screen)
        assert [each.name for each in await lab.olive.saved()] == ["small"]


async def test_enter_runs_a_template_and_shows_its_passes(toolchain_lab: Lab, olive_made: Made) -> None:
    lab = toolchain_lab
    entry = await lab.catalog.find(str(Path(olive_made.folder) / "fp32" / "model.onnx"))
    async with EdgetuiApp(lab, mode="quantize").run_test(size=(100, 30)) as pilot:
        person = await opened(pilot, entry)
        assert person.marked == "olive-int4"
        await pilot.press("enter")
        await person.sees(lambda: person.screen.job is not None)
        await person.sees(lambda: person.screen.job is not None and not person.screen.job.is_running)
        assert person.screen.job is not None and person.screen.job.state == "succeeded", person.screen.job
        await person.sees(lambda: "OnnxBlockWiseRtnQuantization" in person.settings)
