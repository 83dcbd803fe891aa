"""The tensor explorer, driven by keys, on real services and the real model."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import aclosing
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import DataTable, Input, Static

from edgetui.app import EdgetuiApp
from edgetui.core.models import TensorItem
from edgetui.core.tensor_errors import tensor_rows
from edgetui.formats.gguf import read_gguf
from edgetui.screens.fields_dialog import FieldsDialog
from edgetui.screens.models import ModelsScreen
from edgetui.screens.quantize import QuantizeScreen
from edgetui.screens.tensors import TensorsScreen
from edgetui.services.lab import Lab
from edgetui.widgets.tensor_table import TensorTable
from tests.waiting import until


def text(app: EdgetuiApp, selector: str) -> str:
    return "\n".join(str(each.render()) for each in app.screen.query(selector).results(Static))


def table(app: EdgetuiApp) -> TensorTable:
    return app.screen.query_one(TensorTable)


def lines(app: EdgetuiApp) -> list[str]:
    """What is drawn of the list."""
    shown = (table(app).render_line(y).text.strip("* ") for y in range(table(app).size.height))
    return [line for line in shown if line]


async def shown(pilot: Pilot[None], condition: Callable[[], bool]) -> None:
    await until(condition, pilot.pause)


async def opened(pilot: Pilot[None], app: EdgetuiApp, name: str) -> None:
    """The explorer of a model, opened by its key on Models."""
    await shown(pilot, lambda: isinstance(app.screen, ModelsScreen) and app.screen.marked is not None)
    screen = app.screen
    assert isinstance(screen, ModelsScreen)
    await shown(pilot, lambda: name in [entry.name for entry in app.lab.catalog.entries if entry.is_read])
    for _ in range(screen.query_one(DataTable).row_count):
        if screen.marked is not None and screen.marked.name == name:
            break
        await pilot.press("down")
    await shown(pilot, lambda: screen.marked is not None and screen.marked.name == name)
    await pilot.press("e")
    await shown(pilot, lambda: isinstance(app.screen, TensorsScreen) and "tensors" in text(app, "#summary"))


def place(lab: Lab, model: Path) -> None:
    lab.paths.models_dir.mkdir(parents=True)
    os.link(model, lab.paths.models_dir / model.name)


@pytest.mark.parametrize("size", [(80, 24), (200, 60), (40, 10)])
async def test_every_tensor_is_listed_sorted_and_filtered_by_keys(
    lab: Lab, demo_model: Path, size: tuple[int, int]
) -> None:
    app = EdgetuiApp(lab, mode="models")
    async with app.run_test(size=size) as pilot:
        await opened(pilot, app, "SmolLM2-135M-Instruct.Q4_1")
        assert "272 tensors, 135M weights" in text(app, "#summary") and "parent is not known; p chooses" in text(
            app, "#state"
        )
        await pilot.press("end")
        last = read_gguf(demo_model).tensors[-1].name
        await shown(pilot, lambda: last in text(app, "#tensor"))
        for _ in range(4):
            await pilot.press("s")
        await shown(pilot, lambda: "token_embd.weight" in text(app, "#tensor"))
        await pilot.press("slash", *"nfigh")
        await shown(pilot, lambda: table(app).row is None)
        await pilot.press("escape", "slash", *"29 attn_v", "enter")
        await shown(pilot, lambda: "blk.29.attn_v.weight" in text(app, "#tensor"))
        assert len(lines(app)) == 1 and table(app).has_focus
        await pilot.press("escape", "escape")
        await shown(pilot, lambda: isinstance(app.screen, ModelsScreen))


async def test_errors_are_measured_by_a_key_and_stay_known(lab: Lab, short_model: Path) -> None:
    place(lab, short_model)
    record = await lab.quantizer.start(await lab.catalog.find(short_model.stem), "Q4_0")
    async with aclosing(lab.jobs.watch(record.job_id)) as events:
        async for _ in events:
            pass
    app = EdgetuiApp(lab, mode="models")
    async with app.run_test(size=(120, 30)) as pilot:
        await opened(pilot, app, "SmolLM2-short.Q4_0")
        await shown(pilot, lambda: "against SmolLM2-short.F16; 29 not measured: m measures" in text(app, "#state"))
        await pilot.press("m")
        await shown(pilot, lambda: text(app, "#state") == "against SmolLM2-short.F16")
        for _ in range(6):
            await pilot.press("s")
        first = lines(app)[0]
        assert "%" in first.split()[-3] and "e-0" in first.split()[-1] and "by relative" in text(app, "#summary")
        await shown(pilot, lambda: "of the parent's weights" in text(app, "#tensor"))
        await pilot.press("escape")
        await opened(pilot, app, "SmolLM2-short.Q4_0")
        await shown(pilot, lambda: text(app, "#state") == "against SmolLM2-short.F16")


async def test_other_types_of_the_marked_tensor_are_measured(lab: Lab, short_model: Path) -> None:
    place(lab, short_model)
    app = EdgetuiApp(lab, mode="models")
    async with app.run_test() as pilot:
        await opened(pilot, app, short_model.stem)
        await pilot.press("slash", *"0.attn_k", "enter", "w")
        await shown(pilot, lambda: "Q2_0" in text(app, "#tensor") and "Q8_0" in text(app, "#tensor"))
        assert "in other types" in text(app, "#tensor") and "Q4_K" not in text(app, "#tensor")
        await pilot.press("escape", "escape")
        await shown(pilot, lambda: "other types" not in text(app, "#tensor"))


async def test_wanted_types_go_to_the_quantize_screen(lab: Lab, short_model: Path) -> None:
    place(lab, short_model)
    app = EdgetuiApp(lab, mode="models")
    async with app.run_test() as pilot:
        await opened(pilot, app, short_model.stem)
        await pilot.press("slash", *"attn_k", "enter", "a", "t")
        await shown(pilot, lambda: isinstance(app.screen, FieldsDialog))
        assert "Type of 3 tensors" in text(app, "Static")
        await pilot.press(*"q4_k", "enter")
        await shown(pilot, lambda: "do not divide into" in text(app, "#type_name-problem"))
        app.screen.query_one(Input).value = ""
        await pilot.press(*"zzz", "enter")
        await shown(pilot, lambda: "there is no tensor type" in text(app, "#type_name-problem"))
        app.screen.query_one(Input).value = "q8_0"
        await pilot.press("enter")
        await shown(pilot, lambda: isinstance(app.screen, TensorsScreen) and lines(app)[0].endswith("Q8_0"))
        wanted = lab.tensors.overrides(next(each for each in lab.catalog.entries if each.name == short_model.stem))
        assert [override.type_name for override in wanted] == ["Q8_0"] * 3
        await pilot.press("q")
        await shown(pilot, lambda: isinstance(app.screen, QuantizeScreen))
        await shown(pilot, lambda: r"^blk\.0\.attn_k\.weight$=Q8_0" in text(app, "#options"))
        await pilot.press("e")
        await shown(pilot, lambda: isinstance(app.screen, TensorsScreen) and "tensors" in text(app, "#summary"))
        await pilot.press("slash", *"attn_k", "enter", "a", "t")
        await shown(pilot, lambda: isinstance(app.screen, FieldsDialog))
        app.screen.query_one(Input).value = ""
        await pilot.press("enter")
        await shown(pilot, lambda: isinstance(app.screen, TensorsScreen) and lines(app)[0].endswith("-"))
        await pilot.press("escape", "escape")
        await shown(pilot, lambda: isinstance(app.screen, QuantizeScreen) and "usual" in text(app, "#options"))


async def test_a_search_is_asked_for_and_started(lab: Lab, short_model: Path) -> None:
    place(lab, short_model)
    app = EdgetuiApp(lab, mode="models")
    async with app.run_test() as pilot:
        await opened(pilot, app, short_model.stem)
        await pilot.press("r")
        await shown(pilot, lambda: isinstance(app.screen, FieldsDialog))
        size, chunks, choosing, bench = app.screen.query(Input).results(Input)
        assert size.value == "25 MiB"
        size.value, chunks.value = "much", "3"
        await pilot.press("enter")
        await shown(pilot, lambda: "is no size such as 90MiB" in text(app, "Static"))
        assert "at least 4" in text(app, "#chunks-problem")
        size.value, chunks.value, choosing.value, bench.value = "37 MiB", "4", "0", "false"
        await pilot.press("enter")
        await shown(pilot, lambda: isinstance(app.screen, TensorsScreen) and "see Jobs (6)" in text(app, "#state"))
        (record,) = await lab.jobs.list()
        assert (record.kind, record.subject, record.goal) == ("recipe", short_model.stem, "37.0 MiB")
        await lab.jobs.cancel(record.job_id)


async def test_a_list_of_thousands_draws_only_what_is_seen(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []
    draw = TensorTable.render_line

    def counted(self: TensorTable, y: int) -> object:
        drawn.append(y)
        return draw(self, y)

    monkeypatch.setattr(TensorTable, "render_line", counted)
    items: Sequence[TensorItem] = [TensorItem(f"blk.{n}.[red]x", "Q4_K", (256, 4), 576) for n in range(20_000)]
    app = EdgetuiApp(lab, mode="models")
    async with app.run_test() as pilot:
        await opened(pilot, app, "SmolLM2-135M-Instruct.Q4_1")
        table(app).show(tensor_rows(items), frozenset())
        await pilot.pause()
        drawn.clear()
        await pilot.press("down", "down")
        await pilot.pause()
        assert len(drawn) <= 8
        await pilot.press("end")
        await pilot.pause()
        assert table(app).cursor == 19_999 and len(drawn) <= 8 + 2 * table(app).size.height
        assert "blk.19999.[red]x" in lines(app)[-1], "names are data, not markup"
