"""The Quantize screen, driven by keys, on real services and the real model."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest
from textual.widgets import Input, OptionList, Static

from edgetui.app import EdgetuiApp
from edgetui.core.quant_options import QuantOptions
from edgetui.screens.confirm import ConfirmDialog
from edgetui.screens.fields_dialog import FieldsDialog
from edgetui.screens.imatrix_dialog import ImatrixDialog
from edgetui.screens.model_picker import ModelPicker
from edgetui.screens.name_file import NameFileDialog
from edgetui.screens.quantize import QuantizeScreen
from edgetui.widgets.failure_bar import FailureBar
from edgetui.widgets.job_panel import JobPanel
from edgetui.widgets.nav_bar import NavBar
from edgetui.widgets.type_list import TypeList

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from textual.pilot import Pilot

    from edgetui.services.lab import Lab


@pytest.fixture
def app(lab: Lab) -> EdgetuiApp:
    return EdgetuiApp(lab, mode="quantize")


class Person:
    """Someone at the keyboard of the Quantize screen."""

    def __init__(self, pilot: Pilot[None]) -> None:
        self.pilot = pilot
        screen = pilot.app.screen
        assert isinstance(screen, QuantizeScreen)
        self.screen = screen
        self.types = screen.query_one(TypeList)
        self.panel = screen.query_one(JobPanel)

    @property
    def failure(self) -> str:
        return self.screen.query_one(FailureBar).message

    def row(self, name: str) -> str:
        return str(self.types.get_option(name).prompt)

    def text(self, selector: str) -> str:
        return str(self.screen.query_one(selector, Static).render())

    def dialog_text(self) -> str:
        return "\n".join(str(static.render()) for static in self.pilot.app.screen.query(Static))

    @property
    def asked(self) -> bool:
        return isinstance(self.pilot.app.screen, ConfirmDialog)

    async def sees(self, condition: Callable[[], object]) -> None:
        """Wait until something is so; the test's own time limit ends a wait that is in vain."""
        while not condition():
            await self.pilot.pause()
            await asyncio.sleep(0.01)

    async def sees_all_plans(self) -> None:
        await self.sees(lambda: self.types.option_count and self.types.forecast("Q2_0"))

    async def sees_types(self) -> None:
        await self.sees(lambda: self.types.option_count)

    async def marks(self, name: str) -> None:
        self.types.highlighted = self.types.get_option_index(name)
        await self.pilot.pause()

    async def starts(self, name: str) -> None:
        """Choose a type and say yes."""
        await self.marks(name)
        await self.pilot.press("enter")
        await self.sees(lambda: self.asked)
        await self.pilot.press("y")
        await self.sees(lambda: self.panel.record is not None)


async def test_the_only_model_is_taken_and_every_type_gets_its_predicted_size(app: EdgetuiApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        person = Person(pilot)
        await person.sees_all_plans()
        assert "SmolLM2-135M-Instruct.Q4_1   Q4_1   93.8 MiB" in person.text("#model")
        assert person.types.highlighted_type == "Q4_K_M" and person.types.has_focus
        assert person.row("Q8_0").split()[:5] == ["Q8_0", "8.51", "138", "MiB", "147%"]
        assert person.row("Q4_K_M").startswith("~ Q4_K_M")
        assert person.row("IQ2_XXS").startswith("- IQ2_XXS") and "needs an imatrix" in person.row("IQ2_XXS")
        await person.sees(lambda: "NVFP4" in {option.id for option in person.types.options})
        assert "llama.cpp reads NVFP4" in person.row("NVFP4")
        await person.sees(lambda: "180 tensors fall back" in person.text("#about"))
        assert "already quantized (Q4_1): quality is lost twice" in person.text("#about")
        assert "makes SmolLM2-135M-Instruct.Q4_K_M.gguf in" in person.text("#about")


async def test_a_quantized_source_asks_for_a_yes_and_enter_means_no(app: EdgetuiApp, lab: Lab) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        person = Person(pilot)
        await person.sees_types()
        for answer in ("enter", "n", "escape"):
            await pilot.press("enter")
            await person.sees(lambda: person.asked)
            await pilot.press(answer)
            await person.sees(lambda: not person.asked)
        assert await lab.jobs.list() == () and person.panel.record is None
        assert not lab.paths.models_dir.exists()


async def test_a_job_is_watched_to_its_end_and_its_model_is_offered_to_run(app: EdgetuiApp, lab: Lab) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        person = Person(pilot)
        await person.sees_types()
        await person.starts("Q8_0")
        # On the way there are tensors to see, unless the job was done before the screen looked.
        await person.sees(lambda: "tensors" in person.panel.text or person.panel.made_a_model)
        await person.sees(lambda: person.panel.made_a_model)
        assert "+ done  quantize SmolLM2-135M-Instruct.Q4_1 to Q8_0" in person.panel.text
        assert "is made: 138 MiB" in person.panel.text and "enter runs it" in person.panel.text
        await person.sees(lambda: "quant size" in person.panel.text)
        await person.sees(lambda: "exists: n names another" in person.text("#about"))
        assert person.panel.has_focus
        await pilot.press("enter")
        await person.sees(lambda: app.current_mode == "run")
        made = await lab.catalog.find("SmolLM2-135M-Instruct.Q8_0")
        assert made.parent == "SmolLM2-135M-Instruct.Q4_1"
        await person.sees(lambda: "SmolLM2-135M-Instruct.Q8_0" in str(app.screen.query_one("#model", Static).render()))


async def test_cancelling_asks_first_and_leaves_no_file(app: EdgetuiApp, lab: Lab) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        person = Person(pilot)
        await person.sees_types()
        await person.starts("IQ4_XS")
        await person.sees(lambda: person.panel.record and (person.panel.record.done or 0) > 2)
        assert "MiB/s" in person.panel.text and " -> " in person.panel.text
        assert app.screen.query_one(NavBar).running_jobs == 1
        for key in ("escape", "c"):
            await pilot.press(key)
            await person.sees(lambda: person.asked)
            await pilot.press("n")
            await person.sees(lambda: not person.asked)
        assert person.panel.record is not None and person.panel.record.is_running
        await pilot.press("c")
        await person.sees(lambda: person.asked)
        await pilot.press("y")
        await person.sees(lambda: person.panel.record and person.panel.record.state == "cancelled")
        assert list(lab.paths.models_dir.iterdir()) == []
        await pilot.press("escape")
        await person.sees(lambda: person.panel.record is None)
        assert person.types.has_focus


async def test_a_job_goes_on_without_the_app_and_is_found_by_the_next_one(lab: Lab) -> None:
    first = EdgetuiApp(lab, mode="quantize")
    async with first.run_test(size=(80, 24)) as pilot:
        person = Person(pilot)
        await person.sees_types()
        await person.starts("IQ4_XS")
        started = person.panel.record
        assert started is not None
        await pilot.press("ctrl+q")
    from edgetui.services.lab import Lab

    other = Lab()
    second = EdgetuiApp(other, mode="quantize")
    async with second.run_test(size=(80, 24)) as pilot:
        person = Person(pilot)
        await person.sees(lambda: person.panel.record is not None)
        found = person.panel.record
        assert found is not None and found.job_id == started.job_id
        await person.sees(lambda: person.panel.record and (person.panel.record.done or 0) > 2)
        await other.jobs.cancel(found.job_id)
        await person.sees(lambda: person.panel.record and not person.panel.record.is_running)


async def test_a_type_that_cannot_be_made_says_why(app: EdgetuiApp, lab: Lab) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        person = Person(pilot)
        await person.sees(lambda: "NVFP4" in {option.id for option in person.types.options})
        await person.marks("NVFP4")
        await pilot.press("enter")
        await person.sees(lambda: "cannot write it" in person.failure)
        assert await lab.jobs.list() == ()
        await pilot.press("escape")
        assert not person.failure


async def test_a_type_that_needs_an_imatrix_offers_to_make_one(app: EdgetuiApp, lab: Lab) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        person = Person(pilot)
        await person.sees(lambda: person.types.option_count and person.types.forecast("IQ2_XXS"))
        await person.marks("IQ2_XXS")
        await person.sees(lambda: "enter makes one first" in person.text("#about"))
        await pilot.press("enter")
        await person.sees(lambda: person.asked)
        await pilot.press("n")
        await person.sees(lambda: not person.asked)
        assert await lab.jobs.list() == () and not person.failure


async def test_an_imatrix_that_is_not_there_is_said_and_taken_back(app: EdgetuiApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        person = Person(pilot)
        await person.sees_all_plans()
        person.screen._take_options(QuantOptions(imatrix="/nope/x.gguf"))
        await person.sees(lambda: "x.gguf" in person.failure)
        await person.sees_all_plans()
        assert "usual" in person.text("#options") and "MiB" in person.row("Q4_0")


async def test_an_imatrix_is_made_by_keys_and_taken(app: EdgetuiApp, lab: Lab, short_model: Path) -> None:
    lab.paths.models_dir.mkdir(parents=True)
    os.link(short_model, lab.paths.models_dir / short_model.name)
    async with app.run_test(size=(80, 24)) as pilot:
        person = Person(pilot)
        await person.screen.open_model(await lab.catalog.find("SmolLM2-short.F16"))
        await person.sees_all_plans()
        assert person.row("Q2_K_S").startswith("- Q2_K_S") and person.text("#options") == "options  usual"
        await pilot.press("i")
        await person.sees(lambda: isinstance(app.screen, ImatrixDialog))
        await pilot.press("enter")
        await person.sees(lambda: isinstance(app.screen, FieldsDialog))
        app.screen.query_one("#chunks", Input).value = "1"
        await pilot.press("enter")
        await person.sees(lambda: person.panel.record is not None and person.panel.record.kind == "imatrix")
        await person.sees(lambda: "imatrix SmolLM2-short.F16-topics-1.gguf" in person.text("#options"))
        assert person.types.has_focus and "21 matrices over 1 chunk of topics" in person.panel.text
        await person.sees(lambda: person.types.forecast("Q2_K_S"))
        assert person.row("Q2_K_S").startswith("~ Q2_K_S")
        await person.marks("Q2_K_S")
        await person.sees(lambda: "SmolLM2-short-imatrix.Q2_K_S.gguf" in person.text("#about"))
        # It stands in the list of those to take, and can be left out again.
        await pilot.press("i")
        await person.sees(lambda: isinstance(app.screen, ImatrixDialog))
        listed = app.screen.query_one(OptionList)
        assert str(listed.options[0].prompt).startswith("* 1 chunk of topics, of SmolLM2-short.F16")
        listed.highlighted = listed.option_count - 1
        await pilot.press("enter")
        await person.sees(lambda: person.text("#options") == "options  usual")


async def test_options_change_the_predictions_and_an_experiment_asks_first(app: EdgetuiApp, lab: Lab) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        person = Person(pilot)
        await person.sees_all_plans()
        usual = person.types.forecast("Q4_K_M")
        await pilot.press("o")
        await person.sees(lambda: isinstance(app.screen, FieldsDialog))
        app.screen.query_one("#output_type", Input).value = "q9"
        await pilot.press("enter")
        await person.sees(lambda: "there is no tensor type 'q9'" in person.dialog_text())
        app.screen.query_one("#output_type", Input).value = "q5_0"
        app.screen.query_one("#prune_layers", Input).value = "3 5"
        await pilot.press("enter")
        await person.sees(lambda: "output Q5_0, EXPERIMENT: without layers 3,5" in person.text("#options"))
        await person.sees(lambda: person.types.forecast("Q4_K_M") not in (None, usual))
        changed = person.types.forecast("Q4_K_M")
        assert usual and changed and usual.size_bytes and (changed.size_bytes or 0) < usual.size_bytes
        assert len(changed.fallbacks) == len(usual.fallbacks) - 12
        await pilot.press("enter")
        await person.sees(lambda: person.asked)
        await person.sees(lambda: "is an experiment" in person.dialog_text())
        await pilot.press("n")
        assert await lab.jobs.list() == ()


async def test_a_full_disk_is_one_sentence_with_both_figures(home: object, lab: Lab) -> None:
    lab.paths.config_file.write_text(f"disk_headroom_bytes = {2**60}\n")
    from edgetui.services.lab import Lab

    async with EdgetuiApp(Lab(), mode="quantize").run_test(size=(80, 24)) as pilot:
        person = Person(pilot)
        await person.sees_types()
        await pilot.press("enter")
        await person.sees(lambda: person.asked)
        await pilot.press("y")
        await person.sees(lambda: "shall stay free" in person.failure)
        assert "101 MiB" in person.failure and person.panel.record is None


async def test_another_name_can_be_given_and_a_taken_one_is_refused(app: EdgetuiApp, lab: Lab) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        person = Person(pilot)
        await person.sees_types()
        lab.paths.models_dir.mkdir(parents=True)
        taken = lab.paths.models_dir / "taken.gguf"
        taken.write_text("mine")
        await pilot.press("n")
        await person.sees(lambda: isinstance(pilot.app.screen, NameFileDialog))
        app.screen.query_one(Input).value = str(taken)
        await pilot.press("enter")
        await person.sees(lambda: "already there" in str(app.screen.query_one(".problem", Static).render()))
        app.screen.query_one(Input).value = str(lab.paths.models_dir)
        await pilot.press("enter")
        await person.sees(lambda: "Q4_K_M.gguf in" in person.text("#about"))
        assert taken.read_text() == "mine" and await lab.jobs.list() == ()


async def test_a_damaged_model_is_one_sentence(app: EdgetuiApp, lab: Lab) -> None:
    lab.paths.models_dir.mkdir(parents=True)
    (lab.paths.models_dir / "words.gguf").write_text("these are only words " * 10)
    async with app.run_test(size=(80, 24)) as pilot:
        person = Person(pilot)
        await person.sees_types()
        entry = next(entry for entry in await lab.catalog.scan() if entry.name == "words")
        await person.screen.open_model(entry)
        await person.sees(lambda: "words.gguf" in person.failure)
        await pilot.press("ctrl+o")
        await person.sees(lambda: isinstance(app.screen, ModelPicker))
        await pilot.press("escape")


async def test_without_a_model_it_says_how_to_choose_one(
    app: EdgetuiApp, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgetui.services.model_places.EMBEDDED_PACKAGE", "no_such_package")
    async with app.run_test(size=(80, 24)) as pilot:
        person = Person(pilot)
        await person.sees(lambda: "ctrl+o" in person.text("#empty"))
        await pilot.press("enter", "n", "c")
        assert not person.failure


async def test_any_size_shows_the_marked_type(app: EdgetuiApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        person = Person(pilot)
        await person.sees_types()
        for size in ((200, 60), (40, 10), (20, 5), (80, 24)):
            await pilot.resize_terminal(*size)
            assert person.types.highlighted_type == "Q4_K_M" and person.screen.focused is person.types
        await pilot.press("down")
        assert person.types.highlighted_type == "Q4_K_S"
