"""Olive's cache on disk: only whole runs are kept, and nothing is removed under a job that works with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.store.olive_cache import OliveCache


def put_run(cache: OliveCache, name: str, *, model: str | None = "model.onnx", run: str = "{}") -> Path:
    """A run as Olive leaves it; `model` None for one that was broken off before the record was written."""
    folder = cache.folder / "workflow" / "runs" / name
    (folder / "models").mkdir(parents=True)
    (folder / "models" / "model.onnx").write_bytes(bytes(1000))
    (folder / "run.json").write_text(run)
    if model is not None:
        path = str(folder / "models" / model)
        (folder / "model.json").write_text(json.dumps({"type": "onnxmodel", "config": {"model_path": path}}))
    return folder


def test_runs_that_are_not_whole_are_removed_before_olive_looks(tmp_path: Path) -> None:
    cache = OliveCache(tmp_path)
    whole = put_run(cache, "whole")
    broken = [
        put_run(cache, "killed", model=None),
        put_run(cache, "gone", model="other.onnx"),
        put_run(cache, "torn", run='{"pass_na'),
    ]
    (broken[2] / "run.json").write_text('{"pass_na')
    with cache.in_use() as folder:
        assert folder == cache.folder
    assert whole.is_dir() and not any(path.exists() for path in broken)


def test_two_jobs_share_it_and_the_second_removes_nothing_of_the_first(tmp_path: Path) -> None:
    cache = OliveCache(tmp_path)
    with cache.in_use():
        begun = put_run(cache, "begun", model=None)
        with OliveCache(tmp_path).in_use():
            assert begun.is_dir()


def test_it_is_not_cleared_under_a_job(tmp_path: Path) -> None:
    cache = OliveCache(tmp_path)
    with cache.in_use():
        put_run(cache, "whole")
        with pytest.raises(EdgetuiError, match="wait for it, or cancel it") as caught:
            OliveCache(tmp_path).clear()
        assert caught.value.failure.kind == "busy"
    size = cache.size_bytes()
    assert size > 1000 and cache.clear() == size and cache.size_bytes() == 0


def test_one_that_was_never_used_is_empty(tmp_path: Path) -> None:
    cache = OliveCache(tmp_path / "state")
    assert cache.size_bytes() == 0 and cache.clear() == 0 and not (tmp_path / "state").exists()


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "olive-cache").write_text("a file")
    with pytest.raises(EdgetuiError, match="cannot be made") as caught, OliveCache(tmp_path).in_use():
        pass
    assert caught.value.failure.kind == "no_permission"
