"""Probes that hang, fail, and come back."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from edgetui.core.hardware import Reading, known
from edgetui.services.hardware import HardwareMonitor
from edgetui.services.hardware.time_limit import TimeLimit
from tests.recorded_machine import unfold


def test_a_late_probe_says_so_and_the_next_ones_answer() -> None:
    limit, gate = TimeLimit(), threading.Event()

    def late() -> Reading[int]:
        gate.wait()
        return known(1)

    try:
        assert limit.ask("late", late, 0.05).reason == "no answer within 0.05 s"
        assert limit.ask("other", lambda: known(2)).value == 2
        assert limit.ask("late", late, 0.05).reason.startswith("no answer for ")
    finally:
        gate.set()
    while (answer := limit.ask("late", late)).value is None:
        pass
    assert answer.value == 1


def test_a_probe_that_fails_gives_its_error_as_the_reason() -> None:
    def broken() -> Reading[int]:
        raise RuntimeError("boom")

    assert TimeLimit().ask("broken", broken).reason == "the probe failed (RuntimeError: boom)"


def test_a_limit_that_is_given_up_leaves_no_thread_behind() -> None:
    limit = TimeLimit()
    thread = limit.ask("one", lambda: known(threading.current_thread())).value
    assert thread is not None
    thread.name = "given up"
    del limit
    while any(thread.name == "given up" for thread in threading.enumerate()):
        pass


@pytest.mark.parametrize("field", ["temperatures", "fans", "batteries", "governors", "zram", "load_averages"])
async def test_a_sensor_that_hangs_changes_its_own_cell_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    monkeypatch.setattr(TimeLimit.ask, "__defaults__", (0.3,))
    gate = threading.Event()
    monitor = HardwareMonitor(unfold("raspberry-pi-5", tmp_path))

    def hang(*arguments: object) -> Reading[int]:
        gate.wait()
        return known(0)

    if field == "load_averages":
        monkeypatch.setattr("edgetui.services.hardware.monitor.load_averages", hang)
    else:
        monkeypatch.setattr(getattr(monitor, f"_{field}"), "sample", hang)
    try:
        sample = await monitor.sample()
    finally:
        gate.set()
    assert getattr(sample, field).reason == "no answer within 0.3 s"
    others = {"temperatures", "fans", "governors", "load_averages"} - {field}
    assert all(getattr(sample, name).value is not None for name in others)
    assert sample.memory.total_bytes.value is not None


async def test_a_gpu_that_hangs_stays_listed_with_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgetui.services.hardware.monitor.COMMAND_PROBE_LIMIT_S", 0.3)
    gate = threading.Event()
    monitor = HardwareMonitor(unfold("amd-desktop-gpu", tmp_path))
    await monitor.describe()

    def hang() -> None:
        gate.wait()

    monkeypatch.setattr(monitor._accelerators, "sample", hang)
    try:
        (gpu,) = (await monitor.sample()).accelerators
    finally:
        gate.set()
    assert gpu.key == "0000:03:00.0"
    assert gpu.utilisation.reason == gpu.celsius.reason == "no answer within 0.3 s"


async def test_a_processor_that_cannot_be_read_leaves_memory_and_board(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(source: object) -> None:
        raise RuntimeError("boom")

    for name in ("cpu_info", "memory_info"):
        monkeypatch.setattr(f"edgetui.services.hardware.monitor.{name}", fail)
    info = await HardwareMonitor(unfold("raspberry-pi-5", tmp_path)).describe()
    assert info.cpu.model.reason == info.memory.total_bytes.reason == "the probe failed (RuntimeError: boom)"
    assert info.cpu.limits.usable_cpus.value is None and info.cpu.groups == ()
    assert info.system.board.value == "Raspberry Pi 5 Model B Rev 1.0"
