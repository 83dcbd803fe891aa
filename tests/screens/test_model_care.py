"""Keeping the library in order by keys, on real files."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import DataTable, Input, Static

from edgetui.app import EdgetuiApp
from edgetui.hub import browse
from edgetui.hub.download import DownloadLimits, FileDownload, point_to
from edgetui.screens import models as models_screen
from edgetui.screens.confirm import ConfirmDialog
from edgetui.screens.fields_dialog import FieldsDialog
from edgetui.screens.model_diff import ModelDiffScreen
from edgetui.screens.name_file import NameFileDialog
from edgetui.services.lab import Lab
from edgetui.widgets.failure_bar import FailureBar
from edgetui.widgets.model_details import ModelDetailsPane
from tests.gguf_files import STRING, Key, gguf_bytes, with_keys, write_gguf
from tests.hub.server import LoopbackHub
from tests.servers.raw import RawServer, finish, stream, usage
from tests.waiting import until

CHAT = "/v1/chat/completions"
DEMO = "SmolLM2-135M-Instruct.Q4_1"


def rows(app: EdgetuiApp) -> list[str]:
    table = app.screen.query_one(DataTable)
    return [str(table.get_row_at(row)[0]) for row in range(table.row_count)]


def text(app: EdgetuiApp, selector: str) -> str:
    return str(app.screen.query_one(selector, Static).content)


def details(app: EdgetuiApp) -> str:
    return str(app.screen.query_one(ModelDetailsPane).query_one("#text", Static).content)


async def shown(pilot: Pilot[None], condition: Callable[[], bool]) -> None:
    await until(condition, pilot.pause)


@pytest.fixture
def models_dir(lab: Lab) -> Path:
    lab.paths.models_dir.mkdir(parents=True)
    return lab.paths.models_dir


async def test_a_favourite_is_marked_filtered_sorted_first_and_unmarked(lab: Lab, models_dir: Path) -> None:
    write_gguf(models_dir / "tiny.gguf")
    app = EdgetuiApp(lab, mode="models")
    async with app.run_test() as pilot:
        await shown(pilot, lambda: rows(app) == [DEMO, "tiny"])
        await pilot.press("end", "asterisk")
        await shown(pilot, lambda: rows(app) == [DEMO, "* tiny"])
        await pilot.press("slash", "asterisk")
        await shown(pilot, lambda: rows(app) == ["* tiny"])
        await pilot.press("escape")
        await pilot.press("s", "s", "s", "s")
        await shown(pilot, lambda: rows(app) == ["* tiny", DEMO])
        await pilot.press("asterisk")
        await shown(pilot, lambda: sorted(rows(app)) == [DEMO, "tiny"])


async def test_a_note_and_tags_are_written_and_shown(lab: Lab) -> None:
    app = EdgetuiApp(lab, mode="models")
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, lambda: rows(app) == [DEMO])
        await pilot.press("n")
        await shown(pilot, lambda: isinstance(app.screen, FieldsDialog))
        app.screen.query_one("#tags", Input).value = " small   demo"
        app.screen.query_one("#note", Input).value = "answers in [red]haiku"
        await pilot.press("enter")
        await shown(pilot, lambda: "note         answers in [red]haiku" in details(app))
        assert "tags         small demo" in details(app)
        await pilot.press("slash", *"haiku")
        await pilot.pause(0.1)
        assert rows(app) == [DEMO]


async def test_the_same_content_twice_is_told_and_filtered(lab: Lab, models_dir: Path, demo_model: Path) -> None:
    shutil.copy(demo_model, models_dir / "copy.gguf")
    write_gguf(models_dir / "tiny.gguf")
    app = EdgetuiApp(lab, mode="models")
    async with app.run_test(size=(120, 40)) as pilot:
        await shown(pilot, lambda: len(rows(app)) == 3)
        await pilot.press("slash", "equals_sign")
        await shown(pilot, lambda: rows(app) == ["copy", DEMO])
        await shown(pilot, lambda: f"same content {DEMO} (costs 93.8 MiB" in details(app))


@pytest.mark.parametrize("size", [(80, 24), (200, 60), (40, 10)])
async def test_two_models_stand_side_by_side(lab: Lab, models_dir: Path, size: tuple[int, int]) -> None:
    write_gguf(models_dir / "tiny.gguf", with_keys(Key("general.name", STRING, "[bold]Tiny")))
    app = EdgetuiApp(lab, mode="models")
    async with app.run_test(size=size) as pilot:
        await shown(pilot, lambda: rows(app) == [DEMO, "tiny"])
        await pilot.press("equals_sign")
        assert "is compared with" in text(app, "#summary")
        await pilot.press("escape")
        assert "is compared with" not in text(app, "#summary")
        await pilot.press("equals_sign", "down", "equals_sign")
        await shown(pilot, lambda: isinstance(app.screen, ModelDiffScreen) and "lines differ" in text(app, "#counts"))
        labels = rows(app)
        assert {"Files", "size", "Size by part", "general.name"} <= set(labels)
        table = app.screen.query_one(DataTable)
        assert str(table.get_row_at(labels.index("general.name"))[2]) == "[bold]Tiny"
        await pilot.press("a")
        await shown(pilot, lambda: len(rows(app)) < len(labels))
        await pilot.press("escape")
        assert rows(app) == [DEMO, "tiny"]


async def test_a_file_is_added_by_its_path_after_a_look(lab: Lab, tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "tiny.gguf")
    app = EdgetuiApp(lab, mode="models")
    async with app.run_test() as pilot:
        await shown(pilot, lambda: rows(app) == [DEMO])
        for answer in ("n", "y"):
            await pilot.press("a")
            await shown(pilot, lambda: isinstance(app.screen, NameFileDialog))
            app.screen.query_one(Input).value = str(path)
            await pilot.press("enter")
            await shown(pilot, lambda: isinstance(app.screen, ConfirmDialog))
            await pilot.press(answer)
            await shown(pilot, lambda: not isinstance(app.screen, ConfirmDialog))
        await shown(pilot, lambda: rows(app) == [DEMO, "tiny"])
        await pilot.press("a")
        await shown(pilot, lambda: isinstance(app.screen, NameFileDialog))
        app.screen.query_one(Input).value = str(tmp_path / "none.gguf")
        await pilot.press("enter")
        await shown(pilot, lambda: "There is no file" in str(app.screen.query_one(".problem", Static).render()))
        assert app.screen.query_one(Input).value == str(tmp_path / "none.gguf")


async def test_a_file_that_appears_is_listed_by_itself(
    lab: Lab, models_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models_screen, "WATCH_S", 0.05)
    app = EdgetuiApp(lab, mode="models")
    async with app.run_test() as pilot:
        await shown(pilot, lambda: rows(app) == [DEMO])
        write_gguf(models_dir / "tiny.gguf")
        await shown(pilot, lambda: rows(app) == [DEMO, "tiny"])
        (models_dir / "tiny.gguf").unlink()
        await shown(pilot, lambda: rows(app) == [DEMO])


async def test_path_and_name_go_to_the_clipboard_and_a_missing_desktop_is_told(
    lab: Lab, demo_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    app = EdgetuiApp(lab, mode="models")
    async with app.run_test() as pilot:
        await shown(pilot, lambda: rows(app) == [DEMO])
        await pilot.press("y")
        assert app.clipboard == str(demo_model)
        await pilot.press("Y")
        assert app.clipboard == DEMO
        await pilot.press("o")
        await shown(pilot, lambda: "no desktop" in app.screen.query_one(FailureBar).message)


async def test_superseded_revisions_are_listed_and_deleted_after_a_yes(hub_lab: Lab, hub: LoopbackHub) -> None:
    repo = hub.repos["maker/tiny-GGUF"]
    for content in (gguf_bytes(), gguf_bytes() + bytes(64)):
        repo.put("tiny-Q4_K_M.gguf", content)
        page = browse.page(hub_lab.hub.access, repo.id)
        file = page.variants[0].files[0]
        FileDownload(hub_lab.hub.access, repo.id, page.commit, file, DownloadLimits(), lambda *_: None).run()
        point_to(hub_lab.hub.access, repo.id, "main", page.commit)
    app = EdgetuiApp(hub_lab, mode="models")
    async with app.run_test(size=(100, 30)) as pilot:
        await shown(pilot, lambda: len(rows(app)) == 3)
        await pilot.press("X")
        await shown(pilot, lambda: isinstance(app.screen, ConfirmDialog))
        await pilot.press("y")
        await shown(pilot, lambda: not isinstance(app.screen, ConfirmDialog) and len(rows(app)) == 2)
        await pilot.press("X")
        await shown(pilot, lambda: "Nothing in the hub's cache is superseded" in text(app, "#summary"))


@pytest.mark.parametrize("by_palette", [False, True])
async def test_a_server_is_added_by_its_address_after_a_try_and_stands_in_the_list(lab: Lab, by_palette: bool) -> None:
    app = EdgetuiApp(lab, mode="models")
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, lambda: rows(app) == [DEMO])
        with RawServer({CHAT: [stream("OK", finish("length"), usage(5, 1))]}) as server:
            if by_palette:
                (command,) = (each for each in app.get_system_commands(app.screen) if each.title == "Add a server")
                await command.callback()
                await shown(pilot, lambda: bool(app.screen.query("#model")))
                app.screen.query_one("#url", Input).value = server.url
                app.screen.query_one("#name", Input).value = "local"
            else:
                await pilot.press("a")
                await shown(pilot, lambda: isinstance(app.screen, NameFileDialog))
                app.screen.query_one(Input).value = server.url
                await pilot.press("enter")
                await shown(pilot, lambda: bool(app.screen.query("#model")))
                assert app.screen.query_one("#name", Input).value == "local"
            await pilot.press("enter")
            await shown(pilot, lambda: not isinstance(app.screen, FieldsDialog))
            await shown(pilot, lambda: "local is added: first token" in text(app, "#summary"))
        assert set(rows(app)) == {"local", DEMO} and server.url in details(app)
        assert [(each.name, each.url) for each in await lab.servers.endpoints()] == [("local", server.url)]
        await pilot.press("x")
        await shown(pilot, lambda: isinstance(app.screen, ConfirmDialog))
        await pilot.press("y")
        await shown(pilot, lambda: rows(app) == [DEMO])
        assert await lab.servers.endpoints() == ()


async def test_a_server_that_does_not_answer_is_added_by_a_second_enter_only(lab: Lab) -> None:
    with RawServer({}) as gone:
        url = gone.url
    app = EdgetuiApp(lab, mode="models")
    async with app.run_test() as pilot:
        await shown(pilot, lambda: rows(app) == [DEMO])
        await pilot.press("a")
        await shown(pilot, lambda: isinstance(app.screen, NameFileDialog))
        app.screen.query_one(Input).value = url
        await pilot.press("enter")
        await shown(pilot, lambda: bool(app.screen.query("#model")))
        await pilot.press("enter")
        await shown(pilot, lambda: "Enter adds it all the same" in str(app.screen.query_one("#all-problem").render()))
        assert await lab.servers.endpoints() == ()
        await pilot.press("enter")
        await shown(pilot, lambda: not isinstance(app.screen, FieldsDialog))
        await shown(pilot, lambda: "did not answer yet" in text(app, "#summary"))
        assert [each.url for each in await lab.servers.endpoints()] == [url]
