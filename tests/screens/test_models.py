from __future__ import annotations

from collections.abc import Callable

import pytest
from textual.pilot import Pilot
from textual.widgets import DataTable, Static

from edgetui.app import EdgetuiApp
from edgetui.screens.convert import ConvertScreen
from edgetui.services.lab import Lab
from edgetui.widgets.failure_bar import FailureBar
from edgetui.widgets.model_details import ModelDetailsPane
from tests.formats.test_model_folder import CONFIG, fill
from tests.gguf_files import write_gguf
from tests.waiting import until

EMBEDDED = "SmolLM2-135M-Instruct.Q4_1"


def rows(app: EdgetuiApp) -> list[str]:
    table = app.screen.query_one(DataTable)
    return [str(table.get_row_at(row)[0]) for row in range(table.row_count)]


def details(app: EdgetuiApp) -> str:
    return str(app.screen.query_one(ModelDetailsPane).query_one("#text", Static).content)


async def shown(pilot: Pilot[None], condition: Callable[[], bool]) -> None:
    await until(condition, pilot.pause)


@pytest.mark.parametrize("size", [(80, 24), (200, 60), (40, 10)])
async def test_the_list_shows_each_model_with_what_its_file_says(lab: Lab, size: tuple[int, int]) -> None:
    app = EdgetuiApp(lab, mode="models")
    async with app.run_test(size=size) as pilot:
        await shown(pilot, lambda: rows(app) == [EMBEDDED])
        await shown(pilot, lambda: "general.architecture (string) = llama" in details(app))
        assert "Tensors by type" in details(app) and "Q8_0" in details(app)


async def test_typing_a_filter_narrows_the_list_and_escape_brings_it_back(lab: Lab) -> None:
    lab.paths.models_dir.mkdir(parents=True)
    write_gguf(lab.paths.models_dir / "tiny.gguf")
    app = EdgetuiApp(lab, mode="models")
    async with app.run_test() as pilot:
        await shown(pilot, lambda: len(rows(app)) == 2)
        await pilot.press("slash", *"tin")
        await shown(pilot, lambda: rows(app) == ["tiny"])
        await pilot.press("enter")
        assert app.current_mode == "models" and app.screen.query_one(DataTable).has_focus
        await pilot.press("slash")
        await pilot.press(*"zzz")
        await shown(pilot, lambda: rows(app) == [])
        assert app.screen.query_one("#empty").display
        await pilot.press("escape")
        await shown(pilot, lambda: len(rows(app)) == 2)


async def test_sorting_goes_through_the_columns(lab: Lab) -> None:
    lab.paths.models_dir.mkdir(parents=True)
    write_gguf(lab.paths.models_dir / "a-tiny.gguf")
    app = EdgetuiApp(lab, mode="models")
    async with app.run_test() as pilot:
        await shown(pilot, lambda: rows(app) == ["a-tiny", EMBEDDED])
        await pilot.press("s")
        assert rows(app) == [EMBEDDED, "a-tiny"]


async def test_a_bad_file_says_why_and_cannot_be_run(lab: Lab) -> None:
    lab.paths.models_dir.mkdir(parents=True)
    (lab.paths.models_dir / "a-note.gguf").write_text("a text that is named as if it were a model")
    app = EdgetuiApp(lab, mode="models")
    async with app.run_test() as pilot:
        await shown(pilot, lambda: rows(app) == ["! a-note", EMBEDDED])
        await pilot.press("home")
        await shown(pilot, lambda: "it is text" in details(app))
        await pilot.press("enter")
        assert app.current_mode == "models"


async def test_names_from_files_are_data_not_markup(lab: Lab) -> None:
    lab.paths.models_dir.mkdir(parents=True)
    write_gguf(lab.paths.models_dir / "[red]x[bold] \x1b[2J.gguf")
    app = EdgetuiApp(lab, mode="models")
    async with app.run_test() as pilot:
        await shown(pilot, lambda: len(rows(app)) == 2)
        assert any(row.startswith("[red]x[bold]") for row in rows(app))
        assert not any("\x1b" in row for row in rows(app))


async def test_a_folder_that_cannot_be_read_is_one_sentence(lab: Lab) -> None:
    lab.paths.models_dir.parent.mkdir(parents=True)
    lab.paths.models_dir.write_text("a file where the folder should be")
    app = EdgetuiApp(lab, mode="models")
    async with app.run_test() as pilot:
        await shown(pilot, lambda: bool(app.screen.query_one(FailureBar).display))
        assert str(lab.paths.models_dir) in app.screen.query_one(FailureBar).message
        assert rows(app) == [EMBEDDED]


async def test_the_chat_template_is_shown_whole(lab: Lab) -> None:
    app = EdgetuiApp(lab, mode="models")
    async with app.run_test(size=(120, 50)) as pilot:
        await shown(pilot, lambda: "Metadata" in details(app))
        await pilot.press("t")
        await shown(pilot, lambda: details(app).startswith("Chat template") and "endfor" in details(app))


@pytest.mark.parametrize(("key", "mode"), [("enter", "run"), ("q", "quantize"), ("b", "bench")])
async def test_one_key_goes_on_with_the_model(lab: Lab, key: str, mode: str) -> None:
    app = EdgetuiApp(lab, mode="models")
    async with app.run_test() as pilot:
        await shown(pilot, lambda: rows(app) == [EMBEDDED])
        await pilot.press(key)
        await shown(pilot, lambda: app.current_mode == mode)
        await shown(pilot, lambda: any(EMBEDDED in str(line.content) for line in app.screen.query(Static)))


@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
async def test_the_memory_of_the_marked_model_is_predicted(lab: Lab, size: tuple[int, int]) -> None:
    app = EdgetuiApp(lab, mode="models")
    async with app.run_test(size=size) as pilot:
        await shown(pilot, lambda: "general.architecture (string) = llama" in details(app))
        await pilot.press("f")
        await shown(pilot, lambda: "FIT       fits: ~" in details(app))
        assert "KV cache  ~180 MiB for 8192 tokens in F16" in details(app)
        for key in ("f", "escape"):
            await pilot.press(key)
            await shown(pilot, lambda: "general.architecture (string) = llama" in details(app))
            await pilot.press("t")
            assert "Chat template of" in details(app)
        assert app.current_mode == "models"


async def test_one_key_calibrates_and_predicts_the_speed_of_the_marked_model(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgetui.services.speed.LEAST_BUFFER_BYTES", 4 * 1024**2)
    monkeypatch.setattr("edgetui.services.speed.MOST_BUFFER_BYTES", 4 * 1024**2)
    # What fits into the processor's caches is read at any rate; here it is not about how steady this machine is.
    monkeypatch.setattr("edgetui.core.calibration.STEADY_SPREAD", 100.0)
    monkeypatch.setattr("edgetui.core.calibration.CALM_CORES", 100.0)
    app = EdgetuiApp(lab, mode="models")
    async with app.run_test() as pilot:
        await shown(pilot, lambda: "general.architecture (string) = llama" in details(app))
        await pilot.press("f")
        await shown(pilot, lambda: "SPEED     - (this machine is not calibrated" in details(app))
        assert "c calibrates this machine" in details(app)
        await pilot.press("c")
        await shown(pilot, lambda: "Measuring this machine" in details(app))
        await pilot.press("escape")
        await shown(pilot, lambda: "general.architecture (string) = llama" in details(app))
        assert (await lab.speed.calibration()).value is None
        await pilot.press("c")
        await shown(pilot, lambda: "SPEED     ~" in details(app))
        assert "tok/s predicted decode after 64 tokens" in details(app) and "verify    edgetui bench " in details(app)


async def test_a_model_that_cannot_be_simulated_gets_one_sentence(lab: Lab) -> None:
    lab.paths.models_dir.mkdir(parents=True)
    write_gguf(lab.paths.models_dir / "a-tiny.gguf")
    app = EdgetuiApp(lab, mode="models")
    async with app.run_test() as pilot:
        await shown(pilot, lambda: len(rows(app)) == 2)
        await pilot.press("home", "f")
        await shown(pilot, lambda: "a-tiny" in str(app.screen.query_one(FailureBar).render()))


async def test_a_model_is_verified_and_deleted_by_keys_after_a_question(lab: Lab) -> None:
    lab.paths.models_dir.mkdir(parents=True)
    own = lab.paths.models_dir / "a-own.gguf"
    write_gguf(own)
    app = EdgetuiApp(lab, mode="models")
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, lambda: rows(app) == ["a-own", EMBEDDED])
        await pilot.press("home", "v")
        await shown(pilot, lambda: "sha256 " in details(app) and "nobody told" in details(app))
        await pilot.press("x")
        await shown(pilot, lambda: type(app.screen).__name__ == "ConfirmDialog")
        await pilot.press("escape")
        await shown(pilot, lambda: type(app.screen).__name__ == "ModelsScreen")
        assert rows(app) == ["a-own", EMBEDDED]
        await pilot.press("x")
        await shown(pilot, lambda: type(app.screen).__name__ == "ConfirmDialog")
        await pilot.press("y")
        await shown(pilot, lambda: type(app.screen).__name__ == "ModelsScreen" and rows(app) == [EMBEDDED])
        await pilot.press("x")
        await shown(
            pilot, lambda: "belongs to the demo model's package" in str(app.screen.query_one(FailureBar).render())
        )


async def test_a_folder_goes_on_to_the_workflows_that_take_it(lab: Lab) -> None:
    fill(lab.paths.models_dir / "A-plain", "model.safetensors", "tokenizer.json", config=CONFIG)
    app = EdgetuiApp(lab, mode="models")
    async with app.run_test(size=(120, 40)) as pilot:
        await shown(pilot, lambda: rows(app)[:1] == ["A-plain"])
        await pilot.press("home")
        await shown(pilot, lambda: "3: model.safetensors, config.json, tokenizer.json" in details(app))
        assert "safetensors" in details(app) and "model_type (str) = llama" in details(app)
        await pilot.press("q")
        await shown(pilot, lambda: isinstance(app.screen, ConvertScreen))
        await shown(pilot, lambda: any("A-plain" in str(line.content) for line in app.screen.query(Static)))


async def test_what_run_does_not_take_says_in_one_sentence_what_can_be_done(lab: Lab) -> None:
    fill(lab.paths.models_dir / "A-graph", "model.onnx", "config.json")
    app = EdgetuiApp(lab, mode="models")
    async with app.run_test() as pilot:
        await shown(pilot, lambda: rows(app)[:1] == ["A-graph"])
        await pilot.press("home", "enter")
        await shown(pilot, lambda: "l measures its latency" in app.screen.query_one(FailureBar).message)
        assert app.current_mode == "models"
