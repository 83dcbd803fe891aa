"""The Convert screen by keys: what takes a model, what is missing, settings, and a real conversion."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from textual.widgets import Input, Static

from edgetui.app import EdgetuiApp
from edgetui.screens.convert import ConvertScreen
from edgetui.screens.fields_dialog import FieldsDialog
from edgetui.widgets.failure_bar import FailureBar
from edgetui.widgets.job_panel import JobPanel
from edgetui.widgets.settings_panel import SettingsPanel
from edgetui.widgets.workflow_list import WorkflowList
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from textual.pilot import Pilot

    from edgetui.services.lab import Lab


class Person:
    """Someone at the keyboard, on Quantize with the demo model."""

    def __init__(self, pilot: Pilot[None]) -> None:
        self.pilot = pilot

    @property
    def screen(self) -> ConvertScreen:
        screen = self.pilot.app.screen
        assert isinstance(screen, ConvertScreen)
        return screen

    def text(self, selector: str) -> str:
        return str(self.screen.query_one(selector, Static).render())

    async def sees(self, condition: Callable[[], object]) -> None:
        await until(lambda: bool(condition()), self.pilot.pause)

    async def opens(self) -> None:
        """From the Quantize screen, which takes the only model by itself."""
        await self.sees(lambda: "SmolLM2" in str(self.pilot.app.screen.query_one("#model", Static).render()))
        await self.pilot.press("t")
        await self.sees(lambda: isinstance(self.pilot.app.screen, ConvertScreen))
        await self.sees(lambda: self.screen.query_one(WorkflowList).option_count)

    async def marks(self, name: str) -> None:
        workflows = self.screen.query_one(WorkflowList)
        workflows.highlighted = workflows.get_option_index(name)
        await self.pilot.pause()


@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
async def test_what_takes_the_model_comes_first_and_the_rest_says_what_it_takes(
    lab: Lab, size: tuple[int, int]
) -> None:
    app = EdgetuiApp(lab, mode="quantize")
    async with app.run_test(size=size) as pilot:
        person = Person(pilot)
        await person.opens()
        workflows = person.screen.query_one(WorkflowList)
        assert workflows.highlighted_option is not None and workflows.highlighted_option.id == "to-safetensors"
        assert str(workflows.get_option("mlx-quantize").prompt).startswith("-")
        await person.marks("mlx-quantize")
        await person.sees(lambda: "takes safetensors, and this model is gguf" in person.text("#about"))
        await pilot.press("enter")
        failure = person.screen.query_one(FailureBar)
        await person.sees(lambda: "make safetensors of it first (to-safetensors)" in failure.message)
        assert await lab.jobs.list() == ()


async def test_a_toolchain_that_is_missing_is_said_with_the_key_that_installs_it(lab: Lab) -> None:
    app = EdgetuiApp(lab, mode="quantize")
    async with app.run_test(size=(100, 30)) as pilot:
        person = Person(pilot)
        await person.opens()
        await person.sees(lambda: "the toolchain gguf is not installed: i installs it" in person.text("#about"))
        assert person.screen.check_action("install", ())
        await pilot.press("enter")
        failure = person.screen.query_one(FailureBar)
        await person.sees(lambda: "edgetui toolchain install gguf" in failure.message)
        assert await lab.jobs.list() == ()


async def test_settings_are_edited_checked_and_kept_by_workflow(lab: Lab) -> None:
    app = EdgetuiApp(lab, mode="quantize")
    async with app.run_test(size=(100, 30)) as pilot:
        person = Person(pilot)
        await person.opens()
        await person.marks("onnx-build")
        await pilot.press("e")
        await person.sees(lambda: isinstance(app.screen, FieldsDialog))
        app.screen.query_one("#precision", Input).value = "int5"
        await pilot.press("enter")
        await person.sees(lambda: "choose one of" in str(app.screen.query_one("#precision-problem", Static).render()))
        app.screen.query_one("#precision", Input).value = "int8"
        await pilot.press("enter")
        await person.sees(lambda: isinstance(app.screen, ConvertScreen))
        panel = person.screen.query_one(SettingsPanel)
        await person.sees(lambda: "int8" in panel.text and "onnx-int8" in person.text("#about"))
        await person.marks("to-safetensors")
        await person.marks("onnx-build")
        await person.sees(lambda: "int8" in panel.text)


@pytest.mark.timeout(400, func_only=True)
async def test_a_gguf_becomes_safetensors_by_keys_and_goes_on_to_the_next_toolchain(
    toolchain_lab: Lab, gguf_toolchain: Path
) -> None:
    app = EdgetuiApp(toolchain_lab, mode="quantize")
    async with app.run_test(size=(100, 30)) as pilot:
        person = Person(pilot)
        await person.opens()
        await person.sees(lambda: "makes SmolLM2-135M-Instruct.BF16" in person.text("#about"))
        assert "passed through Q4_1" in person.text("#about")
        await pilot.press("enter")
        panel = person.screen.query_one(JobPanel)
        await person.sees(lambda: panel.record is not None)
        while not panel.made_a_model:
            assert panel.record is not None and panel.record.is_running, panel.text
            await pilot.pause(0.05)
        await pilot.press("enter")
        await person.sees(lambda: "safetensors" in person.text("#model"))
        workflows = person.screen.query_one(WorkflowList)
        assert str(workflows.get_option("mlx-quantize").prompt).startswith("+")
