"""What recorded machines did between two looks."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from edgetui.meters.conditions import MachineWatch
from tests.recorded_machine import unfold


def watch(machine: str, folder: Path, others_s: Callable[[], float | None] = lambda: None) -> tuple[MachineWatch, Path]:
    """A watch over a recording by a clock that goes ten seconds a look."""
    root = unfold(machine, folder)
    seconds = count(0, 10)
    return MachineWatch(others_s, root, clock=lambda: float(next(seconds))), root


def test_heat_and_throttling_between_two_looks_are_told(tmp_path: Path) -> None:
    watched, root = watch("intel-hybrid-laptop", tmp_path)
    before = watched.begin()
    assert before.temperature_c is not None and before.throttled == ()
    for counter in root.glob("sys/devices/system/cpu/cpu*/thermal_throttle/package_throttle_count"):
        counter.write_text(f"{int(counter.read_text()) + 3}\n")
    for clock in root.glob("sys/devices/system/cpu/cpu*/cpufreq/scaling_cur_freq"):
        clock.write_text("800000\n")
    found = watched.conditions()
    assert found.throttled is not None and "package too hot" in found.throttled
    assert found.frequency_hz is not None and found.frequency_hz[0] > found.frequency_hz[1] == 800e6
    assert found.temperature_c == (before.temperature_c, before.temperature_c)


def test_a_board_that_is_held_back_all_the_time_says_by_what(tmp_path: Path) -> None:
    watched, _ = watch("rockchip-rk3588", tmp_path)
    watched.begin()
    found = watched.conditions()
    assert found.throttled == ("cooling by cpufreq", "clock limit")


def test_a_machine_that_tells_nothing_claims_nothing(tmp_path: Path) -> None:
    watched, _ = watch("container-cgroup-v1", tmp_path)
    watched.begin()
    found = watched.conditions()
    assert (found.temperature_c, found.throttled, found.others_share) == (None, None, None)


def test_the_share_of_others_is_of_all_processors(tmp_path: Path) -> None:
    taken = iter([0.0, 0.0, 2.0, 2.0])
    seconds = iter([0.0, 0.0, 0.0, 0.0, 10.0, 10.0, 10.0])
    last = [0.0]

    def clock() -> float:
        last[0] = next(seconds, last[0])
        return last[0]

    watched = MachineWatch(lambda: next(taken), unfold("raspberry-pi-5", tmp_path), clock=clock)
    watched.begin()
    while last[0] < 10.0:
        clock()
    assert watched.conditions().others_share == pytest.approx(2.0 / (10.0 * (os.cpu_count() or 1)))
