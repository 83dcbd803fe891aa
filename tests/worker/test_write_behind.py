"""Putting files on disk while they are written: it makes none, and needs none to be there."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from edgetui.worker.runners import write_behind
from edgetui.worker.runners.write_behind import WriteBehind


def test_files_are_put_on_disk_as_they_grow_and_none_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grown, absent = tmp_path / "grown", tmp_path / "absent"
    seen: list[Path] = []
    first = threading.Event()
    put = write_behind._put_data_on_disk

    def watch(path: Path) -> None:
        seen.append(path)
        first.set()
        put(path)

    monkeypatch.setattr(write_behind, "_put_data_on_disk", watch)
    monkeypatch.setattr(write_behind, "STEP_BYTES", 1024)
    with WriteBehind([grown, absent]):
        grown.write_bytes(bytes(4096))
        assert first.wait(10) and seen == [grown]
    assert not absent.exists()
