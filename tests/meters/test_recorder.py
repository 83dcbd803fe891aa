"""Energy of spans of time, by the meters of recorded machines whose files and clock the tests move on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edgetui.core.hardware import PowerSample, known, unknown
from edgetui.meters.recorder import EnergyRecorder, choose
from tests.recorded_machine import unfold

if TYPE_CHECKING:
    from pathlib import Path

PACKAGE = "sys/class/powercap/intel-rapl:0/energy_uj"
PLATFORM = "sys/class/powercap/intel-rapl:1/energy_uj"


class Machine:
    """A recorded machine with a recorder over it."""

    def __init__(self, name: str, tmp_path: Path, *, granted: bool = True) -> None:
        self.root = unfold(name, tmp_path)
        if granted:
            (self.root / "recorded/denied").unlink(missing_ok=True)
        self.now = 100.0
        self.recorder = EnergyRecorder(self.root, lambda: self.now)

    def read(self, at: float, **files: str) -> None:
        """Move the clock, write files (named by attribute below), and read the meters."""
        self.now = at
        for path, text in files.items():
            (self.root / path).write_text(f"{text}\n")
        self.recorder.sample()


@pytest.fixture
def laptop(tmp_path: Path) -> Machine:
    return Machine("intel-hybrid-laptop", tmp_path)


def meter(label: str, *, inside: str = "", key: str = "") -> PowerSample:
    return PowerSample(key=key or label, label=label, inside=inside, watts=known(1.0), joules=unknown("none"))


def test_a_span_between_readings_gets_its_share_of_the_counter(laptop: Machine) -> None:
    for at, joules in ((0.0, 1000), (10.0, 1100), (20.0, 1400)):
        laptop.read(at, **{PLATFORM: str(joules * 10**6)})
    energy = laptop.recorder.energy([(5.0, 15.0)])
    assert energy.joules == pytest.approx(50 + 150)
    assert energy.meter == "psys" and energy.reason == ""


def test_spans_add_up_and_what_lies_between_them_does_not_count(laptop: Machine) -> None:
    for at, joules in ((0.0, 1000), (10.0, 1100), (20.0, 1400)):
        laptop.read(at, **{PLATFORM: str(joules * 10**6)})
    assert laptop.recorder.energy([(0.0, 2.0), (18.0, 20.0)]).joules == pytest.approx(20 + 60)


def test_a_counter_that_wraps_goes_on(laptop: Machine) -> None:
    reach = int((laptop.root / "sys/class/powercap/intel-rapl:1/max_energy_range_uj").read_text())
    laptop.read(0.0, **{PLATFORM: str(reach - 30 * 10**6)})
    laptop.read(10.0, **{PLATFORM: str(70 * 10**6)})
    assert laptop.recorder.energy([(0.0, 10.0)]).joules == pytest.approx(100)


def test_a_meter_of_power_alone_is_summed_over_time(tmp_path: Path) -> None:
    jetson = Machine("jetson-orin-nano", tmp_path)
    rail = next(path for path in jetson.root.rglob("in*_label") if path.read_text().strip() == "VDD_IN")
    number = rail.name.removeprefix("in").removesuffix("_label")
    volts, amperes = (str((rail.parent / f"{name}{number}_input").relative_to(jetson.root)) for name in ("in", "curr"))
    jetson.read(0.0, **{volts: "5000", amperes: "1000"})
    jetson.read(10.0, **{volts: "5000", amperes: "3000"})
    energy = jetson.recorder.energy([(0.0, 10.0)])
    assert energy.meter == "VDD_IN"
    assert energy.joules == pytest.approx((5 + 15) / 2 * 10)


def test_a_reading_that_fails_leaves_the_spans_around_it_without_a_figure(laptop: Machine) -> None:
    laptop.read(0.0, **{PLATFORM: "1000000000"})
    saved = (laptop.root / PLATFORM).read_text()
    (laptop.root / PLATFORM).unlink()
    laptop.read(5.0)
    laptop.read(10.0, **{PLATFORM: saved})
    laptop.read(20.0, **{PLATFORM: "1100000000"})
    assert laptop.recorder.energy([(0.0, 15.0)]).joules is None
    assert laptop.recorder.energy([(10.0, 20.0)]).joules is not None


def test_a_counter_that_may_not_be_read_says_what_to_do(tmp_path: Path) -> None:
    laptop = Machine("intel-hybrid-laptop", tmp_path, granted=False)
    laptop.read(0.0)
    laptop.read(10.0)
    energy = laptop.recorder.energy([(0.0, 10.0)])
    assert energy.joules is None and "sudo chmod a+r" in energy.reason


def test_a_machine_without_meters_says_where_was_looked(tmp_path: Path) -> None:
    rockchip = Machine("rockchip-rk3588", tmp_path)
    with rockchip.recorder.following():
        assert rockchip.recorder.power_at_rest() is None
    energy = rockchip.recorder.energy([(0.0, 10.0)])
    assert energy.joules is None and "no meter found" in energy.reason


def test_a_span_shorter_than_the_readings_can_tell_is_refused(laptop: Machine) -> None:
    laptop.read(0.0)
    laptop.read(1.0)
    energy = laptop.recorder.energy([(0.0, 1.0)])
    assert energy.joules is None and "too short" in energy.reason


def test_no_watt_is_counted_twice() -> None:
    package, core = meter("package-0"), meter("package-0 core", inside="package-0")
    gpu = meter("NVIDIA L4", key="gpu/0000:01:00.0")
    assert choose([package, core, gpu]) == [package, gpu]
    assert choose([package, core, meter("psys"), gpu]) == [meter("psys")]
    assert choose([meter("VDD_IN"), meter("VDD_CPU", inside="VDD_IN"), gpu]) == [meter("VDD_IN")]
    assert choose([gpu]) == [gpu]


def test_meters_of_which_nobody_knows_what_they_feed_are_not_added() -> None:
    assert choose([meter("ina226 a"), meter("ina226 b")]) == []
    assert choose([meter("ina226 a")]) == [meter("ina226 a")]
