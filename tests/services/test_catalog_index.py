"""Rows are read once, remembered across processes, and shown while many are still being read."""

from __future__ import annotations

import os
import time
from pathlib import Path

import msgspec
import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.core.models import ModelEntry, ModelMarks
from edgetui.services import catalog as catalog_module
from edgetui.services import model_rows
from edgetui.services.lab import Lab
from tests.gguf_files import STRING, Key, with_keys, write_gguf


@pytest.fixture
def models_dir(lab: Lab) -> Path:
    lab.paths.models_dir.mkdir(parents=True)
    return lab.paths.models_dir


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files whose headers are read, as it happens."""
    seen: list[str] = []
    real = model_rows.read_row

    def counting(candidate, size_bytes):  # type: ignore[no-untyped-def]
        seen.append(candidate.parts[0].name)
        return real(candidate, size_bytes)

    monkeypatch.setattr(catalog_module, "read_row", counting)
    return seen


async def again() -> list[ModelEntry]:
    """What another process would list."""
    other = Lab()
    try:
        return await other.catalog.scan()
    finally:
        await other.close()


async def test_another_process_lists_without_reading_and_lists_the_same(
    lab: Lab, models_dir: Path, reads: list[str]
) -> None:
    write_gguf(models_dir / "tiny.gguf")
    first = await lab.catalog.scan()
    assert sorted(reads) == ["SmolLM2-135M-Instruct.Q4_1.gguf", "tiny.gguf"]
    reads.clear()
    assert await again() == first and reads == []
    write_gguf(models_dir / "tiny.gguf", with_keys(Key("general.architecture", STRING, "qwen3")))
    assert [row.architecture for row in await again()] == ["llama", "qwen3"] and reads == ["tiny.gguf"]


async def test_a_split_model_is_remembered_until_any_part_changes(lab: Lab, models_dir: Path, reads: list[str]) -> None:
    from tests.formats.test_gguf import split_set

    parts = split_set(models_dir)
    assert len(await lab.catalog.scan()) == 2
    reads.clear()
    await lab.catalog.scan()
    assert reads == []
    os.utime(parts[1], ns=(1, time.time_ns()))
    await lab.catalog.scan()
    assert reads == [parts[0].name]


async def test_a_damaged_file_is_looked_at_again_each_time(lab: Lab, models_dir: Path, reads: list[str]) -> None:
    write_gguf(models_dir / "short.gguf", cut=10)
    await lab.catalog.scan()
    await lab.catalog.scan()
    assert reads.count("short.gguf") == 2


async def test_what_is_known_of_a_file_goes_with_it_and_stays_while_its_disk_is_away(
    lab: Lab, models_dir: Path, reads: list[str]
) -> None:
    (models_dir / "stick").mkdir()
    write_gguf(models_dir / "stick" / "away.gguf")
    write_gguf(models_dir / "gone.gguf")
    await lab.catalog.scan()
    (models_dir / "gone.gguf").unlink()
    (models_dir / "stick").rename(models_dir.parent / "unplugged")
    assert len(await lab.catalog.scan()) == 1
    paths = {Path(row["path"]).name for row in lab.database.read("SELECT path FROM model_rows")}
    assert "away.gguf" in paths and "gone.gguf" not in paths


async def test_rows_are_shown_before_all_headers_are_read(
    lab: Lab, models_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        write_gguf(models_dir / f"tiny-{number}.gguf")
    monkeypatch.setattr(catalog_module, "_FIRST_ROWS_S", 0.0)
    monkeypatch.setattr(catalog_module, "_MORE_ROWS_S", 0.0)
    unread: list[int] = []
    lab.catalog.changed.subscribe(lambda rows: unread.append(sum(not row.is_read for row in rows)))
    rows = await lab.catalog.scan()
    assert unread == sorted(unread, reverse=True) and unread[0] == 6 and unread[-1] == 0
    assert all(row.is_read for row in rows) and lab.catalog.entries == tuple(rows)


async def test_a_database_that_cannot_be_read_costs_the_index_and_not_the_list(lab: Lab, models_dir: Path) -> None:
    write_gguf(models_dir / "tiny.gguf")
    lab.paths.database.parent.mkdir(parents=True, exist_ok=True)
    lab.paths.database.write_bytes(b"no database, and long enough not to be taken for an empty one" * 50)
    assert [row.name for row in await lab.catalog.scan()] == ["SmolLM2-135M-Instruct.Q4_1", "tiny"]
    (problem,) = lab.catalog.folder_problems
    assert "cannot be used" in problem


async def test_a_row_that_this_release_cannot_read_is_read_anew(lab: Lab, models_dir: Path, reads: list[str]) -> None:
    write_gguf(models_dir / "tiny.gguf")
    first = await lab.catalog.scan()
    lab.database.write("UPDATE model_rows SET model_row = '{broken'")
    reads.clear()
    assert await again() == first and len(reads) == 2


async def test_files_that_come_grow_or_go_are_noticed_and_nothing_else(lab: Lab, models_dir: Path) -> None:
    heard: list[int] = []
    await lab.catalog.scan()
    lab.catalog.changed.subscribe(lambda rows: heard.append(len(rows)))
    await lab.catalog.scan_if_changed()
    assert heard == []
    path = models_dir / "tiny.gguf"
    write_gguf(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:200])
    await lab.catalog.scan_if_changed()
    assert heard == [2] and "cut short" in str(lab.catalog.entries[1].problem)
    with path.open("r+b") as stream:
        stream.write(whole)
    await lab.catalog.scan_if_changed()
    assert heard == [2, 2] and lab.catalog.entries[1].problem is None
    path.unlink()
    await lab.catalog.scan_if_changed()
    assert heard == [2, 2, 1]


async def test_notes_stay_with_the_content_wherever_it_goes(lab: Lab, models_dir: Path) -> None:
    path = write_gguf(models_dir / "tiny.gguf")
    tiny = (await lab.catalog.scan())[1]
    marks = ModelMarks(is_favourite=True, tags="small demo", note="answers in haiku")
    await lab.catalog.mark(tiny, marks)
    assert lab.catalog.entries[1].marks == marks
    (models_dir / "deep").mkdir()
    path.rename(models_dir / "deep" / "renamed.gguf")
    assert [(row.name, row.marks) for row in (await again())[1:]] == [("renamed", marks)]
    write_gguf(models_dir / "deep" / "renamed.gguf", with_keys(Key("general.architecture", STRING, "qwen3")))
    assert (await again())[1].marks == ModelMarks()


async def test_marks_taken_back_leave_nothing_and_a_broken_file_takes_none(lab: Lab, models_dir: Path) -> None:
    write_gguf(models_dir / "short.gguf", cut=10)
    demo, short = await lab.catalog.scan()
    await lab.catalog.mark(demo, ModelMarks(note="x"))
    await lab.catalog.mark(demo, ModelMarks())
    assert lab.database.read("SELECT * FROM model_marks") == []
    with pytest.raises(EdgetuiError, match="cannot be read, so nothing can be written on it"):
        await lab.catalog.mark(short, ModelMarks(note="x"))
    assert msgspec.structs.replace(demo, marks=ModelMarks()) == lab.catalog.entries[0]
