from __future__ import annotations

import asyncio
import os
import shutil
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.services import importing
from edgetui.services.lab import Lab
from tests.formats.test_gguf import split_set
from tests.formats.test_model_folder import CONFIG, fill
from tests.gguf_files import write_gguf
from tests.waiting import PATIENCE_S


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "downloads"
    folder.mkdir()
    return folder


def names(lab: Lab) -> list[str]:
    folder = lab.paths.models_dir
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


async def test_on_one_disk_a_link_is_made_and_the_model_is_listed(lab: Lab, outside: Path) -> None:
    path = write_gguf(outside / "tiny.gguf")
    plan = await lab.importer.plan(str(path))
    assert plan.mode == "link" and "a link, which takes no space" in plan.in_words and names(lab) == []
    entry = await lab.importer.run(plan)
    assert entry.path == lab.paths.models_dir / "tiny.gguf" and entry.problem is None
    assert entry.path.samefile(path)


async def test_a_copy_is_its_own_file_and_tells_how_far_it_is(lab: Lab, outside: Path) -> None:
    path = write_gguf(outside / "tiny.gguf")
    told: list[int] = []
    entry = await lab.importer.run(await lab.importer.plan(str(path), "copy"), told.append)
    assert entry.path.read_bytes() == path.read_bytes() and not entry.path.samefile(path)
    assert told[-1] == path.stat().st_size and names(lab) == ["tiny.gguf"]


async def test_moving_leaves_nothing_behind(lab: Lab, outside: Path) -> None:
    path = write_gguf(outside / "tiny.gguf")
    content = path.read_bytes()
    entry = await lab.importer.run(await lab.importer.plan(str(path), "move"))
    assert entry.path.read_bytes() == content and not path.exists()


@pytest.mark.parametrize("mode", ["link", "copy", "move"])
async def test_a_folder_comes_whole_and_what_is_not_the_models_stays(
    lab: Lab, outside: Path, mode: importing.ImportMode
) -> None:
    folder = fill(outside / "Plain", "model.safetensors", "tokenizer.json", "photo.png", config=CONFIG)
    plan = await lab.importer.plan(str(folder), mode)
    assert plan.folder == lab.paths.models_dir / "Plain" and str(plan.folder) in plan.in_words
    entry = await lab.importer.run(plan)
    assert (entry.name, entry.format, entry.folder) == ("Plain", "safetensors", plan.folder)
    assert names(lab) == ["Plain"] and sorted(os.listdir(entry.folder or "")) == sorted(p.name for p in entry.parts)
    kept = ["photo.png"] if mode == "move" else ["config.json", "model.safetensors", "photo.png", "tokenizer.json"]
    assert sorted(os.listdir(folder)) == kept


async def test_a_folder_whose_copy_fails_is_not_there(lab: Lab, outside: Path) -> None:
    folder = fill(outside / "Plain", "model.safetensors", "tokenizer.json", config=CONFIG)
    plan = await lab.importer.plan(str(folder), "copy")
    (folder / "model.safetensors").write_bytes(b"another")
    with pytest.raises(EdgetuiError, match="changed while it was taken"):
        await lab.importer.run(plan)
    assert names(lab) == []


async def test_all_parts_of_a_split_model_come_along(lab: Lab, outside: Path) -> None:
    parts = split_set(outside)
    entry = await lab.importer.run(await lab.importer.plan(str(parts[0]), "copy"))
    assert names(lab) == [part.name for part in parts] and len(entry.parts) == len(parts)


async def test_a_disk_without_links_gets_a_copy(lab: Lab, outside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_gguf(outside / "tiny.gguf")
    plan = await lab.importer.plan(str(path))

    def refuse(*_: object, **__: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    entry = await lab.importer.run(plan)
    assert entry.path.read_bytes() == path.read_bytes() and not entry.path.samefile(path)


async def test_what_is_no_model_or_is_here_already_is_refused_in_one_sentence(lab: Lab, outside: Path) -> None:
    (outside / "note.gguf").write_text("just a text, long enough to be one")
    path = write_gguf(outside / "tiny.gguf")
    await lab.importer.run(await lab.importer.plan(str(path)))
    for named, words in (
        (outside / "none.gguf", "There is no file"),
        (outside / "note.gguf", "it is text"),
        (outside / "model.bin", "is no model: name a .gguf or .onnx file"),
        (path, "is already there"),
        (lab.paths.models_dir / "tiny.gguf", "in the models folder already"),
    ):
        with pytest.raises(EdgetuiError, match=words):
            await lab.importer.plan(str(named))
    assert names(lab) == ["tiny.gguf"]


async def test_the_same_content_under_another_name_is_told(lab: Lab, outside: Path) -> None:
    path = write_gguf(outside / "tiny.gguf")
    await lab.importer.run(await lab.importer.plan(str(path), "copy"))
    shutil.copy(path, outside / "other.gguf")
    assert (await lab.importer.plan(str(outside / "other.gguf"))).same_as == "tiny"


async def test_a_copy_that_would_fill_the_disk_is_refused_with_both_figures(
    lab: Lab, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_gguf(outside / "tiny.gguf")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(EdgetuiError, match=r"takes 992 B and 0\.98 KiB are free"):
        await lab.importer.plan(str(path), "copy")
    assert (await lab.importer.plan(str(path))).mode == "link"


async def test_a_file_that_changes_meanwhile_is_not_taken(lab: Lab, outside: Path) -> None:
    path = write_gguf(outside / "tiny.gguf")
    plan = await lab.importer.plan(str(path), "copy")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(EdgetuiError, match="changed while it was taken"):
        await lab.importer.run(plan)
    assert names(lab) == [] and path.exists()


async def test_a_cancelled_copy_leaves_nothing(lab: Lab, outside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_gguf(outside / "tiny.gguf")
    monkeypatch.setattr(importing, "_BLOCK_BYTES", 16)
    plan = await lab.importer.plan(str(path), "copy")
    begun, cancelled = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def show(_: int) -> None:
        # In the copy's own thread: it goes no further until the person has cancelled.
        loop.call_soon_threadsafe(begun.set)
        cancelled.wait(PATIENCE_S)

    task = asyncio.create_task(lab.importer.run(plan, show))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    cancelled.set()
    for _ in range(500):
        if not names(lab):
            break
        await asyncio.sleep(0.01)
    assert names(lab) == [] and path.exists()


async def test_a_folder_that_cannot_be_made_is_one_sentence(lab: Lab, outside: Path) -> None:
    path = write_gguf(outside / "tiny.gguf")
    lab.paths.models_dir.parent.mkdir(parents=True, exist_ok=True)
    lab.paths.models_dir.write_text("a file where the folder should be")
    with pytest.raises(EdgetuiError, match="cannot be used"):
        await lab.importer.plan(str(path))
