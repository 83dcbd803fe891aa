"""Which baselines are kept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.formats.base_logits import BaseDescription, BaseLogitsShape, BaseLogitsWriter
from edgetui.store.baselines import Baselines

SHAPE = BaseLogitsShape(context_tokens=8, vocabulary_size=5, chunk_count=1)


def put(baselines: Baselines, base: str, used_at: int) -> Path:
    path = baselines.path_of(base, "text", 8, 1)
    path.parent.mkdir(exist_ok=True)
    told = BaseDescription(
        base_name=base, base_fingerprint=base, engine="", engine_version="", text_sha256="text", bos=None
    )
    with BaseLogitsWriter(path, SHAPE, [0] * 8, told, base) as writer:
        writer.append(bytes(SHAPE.chunk_bytes))
        writer.finish()
    os.utime(path, (used_at, used_at))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "logits"


def test_everything_that_changes_the_figures_has_a_file_of_its_own(folder: Path) -> None:
    baselines = Baselines(folder)
    asked = [("a", "t", 8, 1), ("b", "t", 8, 1), ("a", "u", 8, 1), ("a", "t", 16, 1), ("a", "t", 8, 2)]
    assert len({baselines.path_of(*each) for each in asked}) == len(asked)


def test_one_that_is_there_is_taken_and_one_that_is_damaged_is_removed(folder: Path) -> None:
    baselines = Baselines(folder)
    path = put(baselines, "a", 1)
    assert baselines.take(path, text_sha256="text", base_fingerprint="a")
    assert path.stat().st_mtime > 1, "it counts as used now"
    path.write_bytes(path.read_bytes()[:-200])
    assert not baselines.take(path, text_sha256="text", base_fingerprint="a") and not path.exists()
    other = put(baselines, "b", 1)
    assert not baselines.take(other, text_sha256="text", base_fingerprint="a") and not other.exists()
    assert not baselines.take(path, text_sha256="text", base_fingerprint="a"), "what is not there is made"


def test_the_longest_unused_go_when_there_are_too_many(folder: Path) -> None:
    size = put(Baselines(folder), "a", 3).stat().st_size
    baselines = Baselines(folder, most_bytes=3 * size)
    old, older = put(baselines, "b", 2), put(baselines, "c", 1)
    baselines.make_room(baselines.path_of("d", "text", 8, 1), 2 * size, 0)
    assert not older.exists() and not old.exists() and len(list(folder.iterdir())) == 1
    put(baselines, "b", 2)
    put(baselines, "c", 4)
    put(baselines, "d", 5)
    baselines.trim()
    assert {path.stat().st_mtime for path in folder.iterdir()} == {3, 4, 5}


def test_hidden_files_of_running_jobs_are_left_alone(folder: Path) -> None:
    baselines = Baselines(folder, most_bytes=1)
    folder.mkdir()
    hidden = folder / ".abc.logits.job.part"
    hidden.write_bytes(b"begun")
    baselines.trim()
    baselines.make_room(baselines.path_of("d", "text", 8, 1), 1, 0)
    assert hidden.exists()


def test_a_disk_without_room_is_told_before_anything_is_written(folder: Path) -> None:
    baselines = Baselines(folder)
    with pytest.raises(EdgetuiError, match="TiB") as caught:
        baselines.make_room(baselines.path_of("d", "text", 8, 1), 2**60, 0)
    assert caught.value.failure.kind == "no_space" and not list(folder.iterdir())
    with pytest.raises(EdgetuiError, match="shall stay free"):
        baselines.make_room(baselines.path_of("d", "text", 8, 1), 1, 2**60)


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    baselines = Baselines(tmp_path / "file" / "logits")
    with pytest.raises(EdgetuiError) as caught:
        baselines.make_room(baselines.path_of("d", "text", 8, 1), 1, 0)
    assert caught.value.failure.kind == "no_permission"
