"""The Latency screen by keys: a real graph measured, its figures, its profile, a comparison."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.widgets import Input, Static

from edgetui.app import EdgetuiApp
from edgetui.screens.fields_dialog import FieldsDialog
from edgetui.screens.onnx_session import OnnxSessionScreen
from edgetui.screens.repeat_dialog import RepeatDialog
from edgetui.widgets.failure_bar import FailureBar
from edgetui.widgets.operator_panel import OperatorPanel
from edgetui.widgets.row_table import RowTable
from edgetui.widgets.settings_panel import SettingsPanel
from tests.onnx_files import write_onnx
from tests.waiting import until

if TYPE_CHECKING:
    from textual.pilot import Pilot

    from edgetui.services.lab import Lab


async def opened(pilot: Pilot[None]) -> OnnxSessionScreen:
    """From Models, with the graph marked: its name comes before the demo model's."""
    app = pilot.app
    await until(lambda: app.screen.query_one(RowTable).row_count == 2, pilot.pause)
    await until(lambda: app.screen.check_action("latency", ()) is True, pilot.pause)
    await pilot.press("l")
    await until(lambda: isinstance(app.screen, OnnxSessionScreen), pilot.pause)
    screen = app.screen
    assert isinstance(screen, OnnxSessionScreen)
    return screen


async def fill(pilot: Pilot[None], **values: str) -> None:
    await pilot.press("e")
    await until(lambda: isinstance(pilot.app.screen, FieldsDialog) and bool(pilot.app.screen.query(Input)), pilot.pause)
    for name, value in values.items():
        pilot.app.screen.query_one(f"#{name}", Input).value = value
    await pilot.press("enter")
    await until(lambda: isinstance(pilot.app.screen, OnnxSessionScreen), pilot.pause)


async def test_a_graph_is_measured_profiled_and_compared_by_keys(lab: Lab) -> None:
    lab.paths.models_dir.mkdir(parents=True)
    write_onnx(lab.paths.models_dir / "product.onnx")
    app = EdgetuiApp(lab, mode="models")
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot)
        facts, operators = screen.query_one(SettingsPanel), screen.query_one(OperatorPanel)
        await until(lambda: "x  float32  batch x 4" in facts.text, pilot.pause)
        await fill(pilot, runs="3", profile="true", sizes="batch=2", threads="1")
        assert "3 runs after 3" in str(screen.query_one("#setup", Static).render())
        await pilot.press("enter")
        table = screen.query_one(RowTable)
        await until(lambda: table.row_count == 1, pilot.pause)
        (record,) = await lab.onnx_sessions.history()
        assert table.get_row_at(0)[1].plain == f"{record.row.percentile_ms(0.5):.4g}"
        await until(lambda: "x float32 2x4, normally distributed" in facts.text, pilot.pause)
        await until(lambda: screen.check_action("look", ("profile",)) is True, pilot.pause)
        await pilot.press("p")
        await until(lambda: "MatMul" in operators.text and "100.0%" in operators.text, pilot.pause)
        assert record.row.profile is not None and record.row.profile.trace[:40] in operators.text
        await pilot.press("escape")
        await until(lambda: operators.text == "", pilot.pause)
        await fill(pilot, runs="2", profile="false", sizes="batch=3")
        await pilot.press("enter")
        await until(lambda: table.row_count == 2, pilot.pause)
        await until(lambda: screen.check_action("measure", ()) is True and not screen.has_class("-job"), pilot.pause)
        await pilot.press("equals_sign", "down", "equals_sign")
        await until(lambda: "Speed of the first" in facts.text and "x=3x4 against x=2x4" in facts.text, pilot.pause)
        await pilot.press("escape", "y")
        await until(lambda: isinstance(app.screen, RepeatDialog), pilot.pause)
        dialog = app.screen
        assert isinstance(dialog, RepeatDialog) and dialog.chosen.text.startswith("edgetui onnx run ")
        await pilot.press("right")
        assert dialog.chosen.language == "python" and "onnxruntime" in dialog.chosen.text
        await pilot.press("escape", "x", "x")
        await until(lambda: table.row_count == 1, pilot.pause)


async def test_sizes_that_fit_nothing_are_one_sentence(lab: Lab) -> None:
    lab.paths.models_dir.mkdir(parents=True)
    write_onnx(lab.paths.models_dir / "product.onnx")
    app = EdgetuiApp(lab, mode="models")
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot)
        await fill(pilot, sizes="rows=3")
        await pilot.press("enter")
        await until(lambda: "no free dimension" in screen.query_one(FailureBar).message, pilot.pause)
        assert await lab.jobs.list() == ()
