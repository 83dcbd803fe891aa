"""What Run shows of the machine, by the files of machines that this one is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edgetui.services.hardware import HardwareMonitor
from edgetui.services.hardware.run_meter import RunMeter
from tests.recorded_machine import unfold

if TYPE_CHECKING:
    from pathlib import Path


class Machine:
    """A recorded machine whose clock and counter the test moves on."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.now = 1000.0
        self.meter = RunMeter(HardwareMonitor(root, lambda: self.now), lambda: self.now)

    def counts(self, microjoules: int) -> None:
        (self.root / "sys/class/powercap/intel-rapl:0/energy_uj").write_text(f"{microjoules}\n")


@pytest.fixture
def laptop(tmp_path: Path) -> Machine:
    root = unfold("intel-hybrid-laptop", tmp_path)
    # Its owner lets everybody read RAPL.
    (root / "recorded/denied").unlink()
    for zone in root.glob("sys/class/powercap/intel-rapl:*/name"):
        if zone.read_text().strip() == "psys":
            zone.write_text("elsewhere\n")
    return Machine(root)


async def test_a_counter_gives_the_joules_between_two_looks(laptop: Machine) -> None:
    laptop.counts(1_000_000)
    first = await laptop.meter.look()
    laptop.now += 2
    laptop.counts(31_000_000)
    second = await laptop.meter.look()
    assert first.joules.value is not None and second.joules.value is not None
    assert second.joules.value - first.joules.value == pytest.approx(30)
    assert second.watts.value == pytest.approx(15)
    assert second.celsius.value == pytest.approx(47)
    assert second.frequency_hz.value is not None and 0.7e9 < second.frequency_hz.value < 1.5e9


async def test_a_machine_whose_meter_tells_nothing_says_why(tmp_path: Path) -> None:
    served = Machine(unfold("container-cgroup-v2", tmp_path))
    now = await served.meter.look()
    assert now.watts.value is None and now.joules.value is None
    assert "NVIDIA L4" in now.watts.reason and "N/A" in now.joules.reason


async def test_a_rail_that_tells_power_alone_is_summed_over_time(tmp_path: Path) -> None:
    board = Machine(unfold("jetson-orin-nano", tmp_path))
    first = await board.meter.look()
    assert first.watts.value is not None and first.joules.value == 0
    board.now += 10
    second = await board.meter.look()
    assert second.joules.value == pytest.approx(first.watts.value * 10)
    assert second.gpu_load is not None


async def test_what_a_look_at_work_finds_is_what_a_whole_sample_finds(tmp_path: Path) -> None:
    root = unfold("intel-hybrid-laptop", tmp_path)
    work = await HardwareMonitor(root).work_sample()
    whole = await HardwareMonitor(root).sample()
    for name in ("cores", "temperatures", "accelerators"):
        assert getattr(work, name) == getattr(whole, name)
    assert work.temperatures.value
