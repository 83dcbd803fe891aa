"""The checklist: each line's states, that they never guess, and that each fails alone."""

from __future__ import annotations

import datetime
import os
from typing import TYPE_CHECKING

import pytest

from edgetui.config import Paths, Settings
from edgetui.core.failures import EdgetuiError
from edgetui.core.hardware import InstructionSet
from edgetui.core.units import GIB
from edgetui.services.hardware import HardwareMonitor
from edgetui.services.readiness import Readiness
from edgetui.services.readiness.commands import install_command
from edgetui.services.readiness.engines import engine_line
from edgetui.services.readiness.environment import TerminalFacts, python_line, terminal_line
from edgetui.services.readiness.machine import check_models_folder, check_processor, disk_line, memory_line
from edgetui.services.readiness.tools import check_git
from edgetui.worker.protocol import EngineInfo
from tests.recorded_machine import unfold

if TYPE_CHECKING:
    from pathlib import Path

    from edgetui.services.lab import Lab

TODAY = datetime.date(2026, 6, 1)


def paths_at(folder: Path) -> Paths:
    return Paths(folder / "settings.toml", folder / "data", folder / "data/models", folder / "state")


def engine(system_info: str) -> EngineInfo:
    return EngineInfo(
        name="llama.cpp",
        version="0.3.36",
        build="b1",
        system_info=system_info,
        devices=("CPU: x",),
        supports_gpu_offload=False,
        supports_mmap=True,
        supports_mlock=True,
        quant_types=(),
    )


async def test_the_real_engine_and_the_real_model_are_found_ready(lab: Lab) -> None:
    report = await lab.readiness.report()
    states = {check.key: check.state for check in report.checks}
    assert list(states) == list(lab.readiness.titles)
    assert states["engine"] == states["demo_model"] == states["models_folder"] == "ok"
    found = {check.key: check.found for check in report.checks}
    assert found["engine"].startswith("llama-cpp-python 0.3")
    assert "SmolLM2-135M" in found["demo_model"]
    assert not lab.paths.models_dir.exists()


async def test_a_line_arrives_as_soon_as_it_is_there(lab: Lab) -> None:
    order = [check.key async for check in lab.readiness.run()]
    assert sorted(order) == sorted(lab.readiness.titles)
    # The engine loads a library in another process; Python's own version takes no time.
    assert order.index("python") < order.index("engine")


async def test_a_check_that_breaks_is_unknown_and_leaves_the_others_alone(tmp_path: Path) -> None:
    async def broken() -> EngineInfo:
        raise RuntimeError("boom")

    report = await Readiness(Settings(), paths_at(tmp_path), broken).report()
    lines = {check.key: check for check in report.checks}
    assert lines["engine"].state == "unknown"
    assert lines["engine"].found == "the check failed (RuntimeError: boom)"
    assert lines["python"].state in ("ok", "warn")
    assert report.exit_code >= 1


async def test_an_engine_that_is_missing_fails_with_the_command_that_installs_it(tmp_path: Path) -> None:
    async def missing() -> EngineInfo:
        raise EdgetuiError("engine_missing", "llama-cpp-python is not installed.")

    report = await Readiness(Settings(), paths_at(tmp_path), missing).report()
    line = next(check for check in report.checks if check.key == "engine")
    assert (line.state, line.found) == ("fail", "llama-cpp-python is not installed.")
    assert line.action.endswith("-m pip install --force-reinstall --no-cache-dir llama-cpp-python")
    assert report.exit_code == 2 and report.verdict == "not ready"


def test_an_engine_built_without_what_the_processor_has_is_told() -> None:
    sets = (InstructionSet("AVX2", True), InstructionSet("FMA", True), InstructionSet("AVX-512", False))
    good = engine_line(engine("CPU : SSE3 = 1 | AVX2 = 1 | FMA = 1"), sets)
    assert good.state == "ok" and "built with SSE3 AVX2 FMA" in good.found
    slow = engine_line(engine("CPU : SSE3 = 1 | FMA = 1"), sets)
    assert slow.state == "warn" and "AVX2 is not used" in slow.found
    assert "--no-binary llama-cpp-python" in slow.action


@pytest.mark.parametrize(
    ("version", "state"),
    [((3, 9, 20), "fail"), ((3, 10, 4), "warn"), ((3, 11, 0), "ok"), ((3, 13, 1), "ok"), ((3, 14, 0), "warn")],
)
def test_python_is_judged_by_its_release(version: tuple[int, int, int], state: str) -> None:
    line = python_line(version, TODAY)
    assert line.state == state
    assert bool(line.action) == (state != "ok")


def test_python_past_its_end_of_life_is_told() -> None:
    line = python_line((3, 11, 9), datetime.date(2028, 1, 1))
    assert line.state == "warn" and "no fixes since 2027-10" in line.found


@pytest.mark.parametrize(("free", "state"), [(60 * GIB, "ok"), (50 * GIB, "ok"), (20 * GIB, "warn"), (GIB, "fail")])
def test_free_disk_is_amber_below_50_gib_and_red_below_2(free: int, state: str, tmp_path: Path) -> None:
    line = disk_line(free, tmp_path)
    assert line.state == state
    assert "50.0 GiB recommended" in line.needed


def test_a_disk_that_cannot_be_asked_is_unknown_with_the_reason(tmp_path: Path) -> None:
    line = disk_line(None, tmp_path, "it went away")
    assert (line.state, line.found) == ("unknown", "it went away")


@pytest.mark.parametrize(
    ("memory", "state"),
    [(31 * GIB, "ok"), (15 * GIB, "ok"), (12 * GIB, "warn"), (int(7.6 * GIB), "warn"), (4 * GIB, "fail")],
)
def test_memory_is_judged_as_the_machine_was_sold(memory: int, state: str) -> None:
    assert memory_line(memory).state == state


async def test_memory_and_cores_of_a_container_are_what_it_may_use(tmp_path: Path) -> None:
    hardware = HardwareMonitor(unfold("container-cgroup-v2", tmp_path))

    async def info() -> EngineInfo:
        return engine("CPU : AVX2 = 1")

    report = await Readiness(Settings(), paths_at(tmp_path), info, hardware).report()
    lines = {check.key: check for check in report.checks}
    assert lines["memory"].state == "fail" and "limit of this container" in lines["memory"].found
    assert lines["cpu"].state == "warn" and "1.5 usable here (cgroup quota)" in lines["cpu"].found


async def test_processor_without_figures_is_unknown(tmp_path: Path) -> None:
    line = await check_processor(HardwareMonitor(tmp_path))
    assert line.state == "unknown"
    assert "there is no /proc" in line.action


async def test_processor_of_a_raspberry_pi_needs_neon(tmp_path: Path) -> None:
    line = await check_processor(HardwareMonitor(unfold("raspberry-pi-5", tmp_path)))
    assert line.state == "ok" and line.needed == "2 cores or more, NEON"


async def test_models_folder_that_the_person_named_must_exist(tmp_path: Path) -> None:
    wanted = tmp_path / "not mounted"
    paths = Paths(tmp_path / "settings.toml", tmp_path, wanted, tmp_path)
    line = await check_models_folder(Settings(models_dir=str(wanted)), paths)
    assert line.state == "warn" and f"mkdir -p '{wanted}'" in line.action
    wanted.mkdir()
    assert (await check_models_folder(Settings(models_dir=str(wanted)), paths)).state == "ok"
    assert list(wanted.iterdir()) == []


async def test_models_folder_where_nothing_can_be_written_fails() -> None:
    # Root may write everywhere but there, so that this holds for every user.
    from pathlib import Path

    line = await check_models_folder(Settings(), paths_at(Path("/proc/self")))
    assert line.state == "fail" and "not writable" in line.found
    line = await check_models_folder(Settings(), Paths(Path("/x"), Path("/x"), Path("/proc/version"), Path("/x")))
    assert line.state == "fail" and "is not a folder" in line.found


def test_terminal_is_judged_by_size_characters_and_colours() -> None:
    good = TerminalFacts((80, 24), "xterm-256color", 256, True, True)
    assert terminal_line(good).state == "ok"
    small = terminal_line(good._replace(size=(60, 20)))
    assert small.state == "warn" and "80x24" in small.action
    serial = terminal_line(good._replace(unicode=False, colours=0, term="vt100"))
    assert serial.state == "warn" and "C.UTF-8" in serial.action and "TERM" in serial.action
    assert terminal_line(good._replace(colours=0, colour_is_wanted=False)).state == "ok"
    assert terminal_line(good._replace(size=None)).state == "skip"


async def test_a_tool_that_is_absent_is_told_and_one_that_does_not_run_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    absent = await check_git()
    assert absent.state == "warn" and "not found" in absent.found and absent.action
    git = tmp_path / "git"
    git.write_text("#!/bin/sh\necho broken library\nexit 127\n")
    git.chmod(0o755)
    broken = await check_git()
    assert broken.state == "unknown" and "broken library" in broken.found


def test_what_to_install_is_said_in_the_words_of_this_systems_package_manager(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert install_command({"dnf": "git"}) == "Install it with this system's package manager."
    (tmp_path / "dnf").write_text("")
    os.chmod(tmp_path / "dnf", 0o755)
    assert install_command({"apt-get": "git", "dnf": "git"}) == "sudo dnf install git"
