"""Power, energy, batteries, fans, power modes and throttling, by the files of machines that this one is not."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from edgetui.core.hardware import Reading, known, unknown
from edgetui.core.hardware_text import sample_facts
from edgetui.meters.energy_counter import EnergyCounter
from edgetui.meters.source import MachineSource
from edgetui.services.hardware import HardwareMonitor
from tests.recorded_machine import unfold

if TYPE_CHECKING:
    from pathlib import Path

    from edgetui.core.hardware import HardwareSample, PowerSample, ThrottleSample


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Board:
    """A recorded machine whose files and clock the test moves on."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._clock = Clock()
        self.monitor = HardwareMonitor(root, self._clock)

    async def sample(self, *, after: float = 10.0) -> HardwareSample:
        self._clock.now += after
        return await self.monitor.sample()

    def write(self, path: str, text: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n")

    async def lines(self) -> list[str]:
        """Everything that `edgetui hw` prints of a sample."""
        info = await self.monitor.describe()
        return [f"{fact.label:<9}{fact.text}" for fact in sample_facts(info, await self.sample())]


@pytest.fixture
def pi(tmp_path: Path) -> Board:
    return Board(unfold("raspberry-pi-5", tmp_path))


@pytest.fixture
def jetson(tmp_path: Path) -> Board:
    return Board(unfold("jetson-orin-nano", tmp_path))


@pytest.fixture
def rockchip(tmp_path: Path) -> Board:
    return Board(unfold("rockchip-rk3588", tmp_path))


@pytest.fixture
def laptop(tmp_path: Path) -> Board:
    return Board(unfold("intel-hybrid-laptop", tmp_path))


@pytest.fixture
def granted(laptop: Board) -> Board:
    """The laptop after its owner let everybody read RAPL."""
    (laptop.root / "recorded/denied").unlink()
    return Board(laptop.root)


def meters(sample: HardwareSample) -> dict[str, PowerSample]:
    return {item.label: item for item in sample.power.value or ()}


def signs(sample: HardwareSample) -> dict[str, ThrottleSample]:
    return {item.label: item for item in sample.throttling.value or ()}


def add(counter: EnergyCounter, joules: float, now: float) -> tuple[Reading[float], Reading[float]]:
    return counter.add(known(joules), now)


def test_an_energy_counter_gives_watts_between_reads_and_joules_since_the_first() -> None:
    counter = EnergyCounter(1000.0)
    watts, joules = add(counter, 100.0, 0.0)
    assert watts.value is None and joules.value == 0
    add(counter, 130.0, 2.0)
    watts, joules = add(counter, 180.0, 4.0)
    assert (watts.value, joules.value) == (25.0, 80.0)


def test_an_energy_counter_that_wraps_goes_on() -> None:
    counter = EnergyCounter(1000.0)
    add(counter, 990.0, 0.0)
    watts, joules = add(counter, 10.0, 1.0)
    assert (watts.value, joules.value) == (20.0, 20.0)


def test_no_power_is_claimed_where_the_counter_may_have_wrapped_unseen() -> None:
    counter = EnergyCounter(1000.0)
    add(counter, 10.0, 0.0)
    watts, joules = add(counter, 20.0, 3600.0)
    assert watts.value is None and "wrapped unseen" in watts.reason
    assert joules.value == 0


def test_a_counter_that_starts_again_without_a_range_gives_no_power_below_zero() -> None:
    counter = EnergyCounter(None)
    add(counter, 500.0, 0.0)
    assert add(counter, 3.0, 1.0)[0].value is None
    assert add(counter, 5.0, 2.0)[0].value == 2.0


def test_a_failed_read_is_no_energy() -> None:
    counter = EnergyCounter(1000.0)
    add(counter, 5.0, 0.0)
    assert counter.add(unknown("gone"), 1.0) == (unknown("gone"), unknown("gone"))


async def test_rapl_without_permission_names_the_command_that_grants_it(laptop: Board) -> None:
    found = meters(await laptop.sample())
    # The -mmio zone reads the same counter, so it is not a second meter.
    assert list(found) == ["package-0", "package-0 core", "package-0 uncore", "psys"]
    for meter in found.values():
        assert meter.watts.value is None
        assert "sudo chmod a+r /sys/class/powercap/*/energy_uj" in meter.watts.reason


async def test_rapl_counts_each_domain_and_says_which_contains_which(granted: Board) -> None:
    await granted.sample()
    granted.write("sys/class/powercap/intel-rapl:0/energy_uj", str(41_251_087_463 + 120_000_000))
    # This one passed its range: 90 J before it and 10 J after.
    granted.write("sys/class/powercap/intel-rapl:1/energy_uj", "10000000")
    found = meters(await granted.sample(after=10.0))
    assert found["package-0"].watts.value == pytest.approx(12.0)
    assert found["package-0"].joules.value == pytest.approx(120.0)
    assert found["psys"].joules.value == pytest.approx(262_143.328_85 - 171_251.087_463 + 10.0)
    assert found["package-0 core"].inside == found["package-0"].key
    assert found["package-0 core"].watts.value == 0


async def test_jetson_rails_are_volts_times_amperes_and_the_input_contains_the_others(jetson: Board) -> None:
    found = meters(await jetson.sample())
    assert list(found) == ["VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC"]
    assert found["VDD_IN"].watts.value == pytest.approx(5.080 * 1.128)
    assert found["VDD_SOC"].inside == found["VDD_IN"].key
    assert found["VDD_IN"].joules.value is None and "counts no energy" in found["VDD_IN"].joules.reason


async def test_rails_of_a_jetson_with_the_older_driver_are_read_too(jetson: Board) -> None:
    jetson.write("sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0/rail_name_0", "POM_5V_IN")
    jetson.write("sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0/in_power0_input", "3215")
    assert meters(await jetson.sample())["POM_5V_IN"].watts.value == 3.215


async def test_an_amd_gpu_is_a_meter_beside_a_package_that_only_root_may_read(tmp_path: Path) -> None:
    found = meters(await Board(unfold("amd-desktop-gpu", tmp_path)).sample())
    assert found["amdgpu PPT"].watts.value == 61.0
    assert found["package-0"].watts.value is None and "needs root" in found["package-0"].watts.reason


async def test_jetson_power_mode_has_its_name_and_what_else_there_is(jetson: Board) -> None:
    mode = (await jetson.sample()).power_mode.value
    assert mode is not None
    assert (mode.source, mode.name, mode.number) == ("nvpmodel", "15W", 0)
    assert mode.choices == ("15W", "25W", "MAXN_SUPER", "7W")
    jetson.write("var/lib/nvpmodel/status", "pmode:0002")
    changed = (await jetson.sample()).power_mode.value
    assert changed is not None and changed.name == "MAXN_SUPER"


async def test_jetson_power_mode_is_asked_for_where_no_file_tells_it(jetson: Board) -> None:
    (jetson.root / "var/lib/nvpmodel/status").unlink()
    mode = (await jetson.sample()).power_mode.value
    assert mode is not None and (mode.name, mode.number) == ("15W", 0)
    (jetson.root / "recorded/commands/nvpmodel").unlink()
    missing = (await jetson.sample()).power_mode
    assert missing.reason == "there is no /var/lib/nvpmodel/status; nvpmodel not installed"


async def test_jetson_gpu_tells_load_clock_and_temperature(jetson: Board) -> None:
    info, sample = await jetson.monitor.describe(), await jetson.sample()
    assert [(gpu.vendor, gpu.name) for gpu in info.gpus.value or ()] == [("NVIDIA", "Tegra Orin (Ampere)")]
    gpu = sample.accelerators[0]
    assert gpu.key == (info.gpus.value or ())[0].key
    assert (gpu.utilisation.value, gpu.frequency_hz.value, gpu.celsius.value) == (0.137, 305_895_000, 48.156)


async def test_pi_5_power_is_the_sum_of_its_rails(pi: Board) -> None:
    found = meters(await pi.sample())
    parts = [item.watts.value or 0.0 for item in found.values() if item.inside]
    assert len(parts) == 12
    assert found["PMIC rails"].watts.value == pytest.approx(sum(parts)) == pytest.approx(2.95, abs=0.01)
    assert found["VDD_CORE"].watts.value == pytest.approx(1.42880 * 0.9065925)


async def test_a_pi_without_vcgencmd_says_so(pi: Board) -> None:
    (pi.root / "recorded/commands/vcgencmd-pmic_read_adc").unlink()
    assert (await pi.sample()).power.reason == "vcgencmd not installed"


async def test_pi_flags_tell_now_from_since_boot(pi: Board) -> None:
    found = signs(await pi.sample())
    assert (found["under-voltage"].active.value, found["under-voltage"].since_boot.value) == (False, True)
    assert (found["throttled"].active.value, found["throttled"].since_boot.value) == (False, False)
    pi.write("sys/devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled", "50005")
    found = signs(await pi.sample())
    assert [label for label, sign in found.items() if sign.active.value] == ["under-voltage", "throttled"]


async def test_pi_flags_come_from_vcgencmd_where_the_kernel_has_no_file(pi: Board) -> None:
    (pi.root / "sys/devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled").unlink()
    pi.write("recorded/commands/vcgencmd-get_throttled", "throttled=0x80008")
    found = signs(await pi.sample())
    assert [label for label, sign in found.items() if sign.active.value] == ["soft temperature limit"]


async def test_the_firmware_is_not_asked_at_every_sample(pi: Board) -> None:
    await pi.sample()
    pi.write("sys/devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled", "1")
    assert signs(await pi.sample(after=3.0))["under-voltage"].active.value is False
    assert signs(await pi.sample(after=3.0))["under-voltage"].active.value is True


async def test_a_tool_that_does_not_answer_is_left_alone_for_a_minute(pi: Board) -> None:
    command = pi.root / "recorded/commands/vcgencmd-pmic_read_adc"
    printed = command.read_text()
    command.unlink()
    await pi.sample()
    command.write_text(printed)
    assert (await pi.sample(after=30.0)).power.value is None
    assert (await pi.sample(after=31.0)).power.value is not None


async def test_slow_files_are_read_every_few_seconds_and_the_rest_once_a_second(
    laptop: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: Counter[str] = Counter()
    read = MachineSource.read

    def counting_read(source: MachineSource, path: str) -> str:
        reads[path] += 1
        return read(source, path)

    monkeypatch.setattr(MachineSource, "read", counting_read)
    for _ in range(60):
        await laptop.sample(after=1.0)
    assert 10 <= reads["/sys/class/power_supply/BAT0/uevent"] <= 16
    assert 10 <= reads["/sys/firmware/acpi/platform_profile"] <= 13
    assert 25 <= reads["/sys/devices/system/cpu/cpu3/thermal_throttle/core_throttle_count"] <= 32
    assert reads["/sys/class/hwmon/hwmon3/fan1_input"] == 60
    assert max(count for path, count in reads.items() if path.startswith("/sys/")) == 60


async def test_x86_counters_are_active_when_they_grew_and_name_the_cpus(laptop: Board) -> None:
    first = signs(await laptop.sample())["core too hot"]
    assert first.active.value is None and first.events.value == 48
    laptop.write("sys/devices/system/cpu/cpu2/thermal_throttle/core_throttle_count", "15")
    second = signs(await laptop.sample())
    assert (second["core too hot"].active.value, second["core too hot"].detail) == (True, "CPUs 2")
    assert second["core too hot"].events.value == 51
    assert (second["package too hot"].active.value, second["package too hot"].events.value) == (False, 31)


async def test_cooling_devices_that_slow_the_processor_are_signs_and_fans_are_not(rockchip: Board) -> None:
    found = signs(await rockchip.sample())
    assert list(found) == ["cooling by cpufreq", "cooling by devfreq", "clock limit"]
    assert (found["cooling by cpufreq"].active.value, found["cooling by cpufreq"].detail) == (True, "step 2 of 8")
    assert found["clock limit"].detail == "CPUs 6-7 to 2.21 GHz of 2.40 GHz"


async def test_idle_powerclamp_and_the_offset_of_a_limit_slow_nothing(laptop: Board) -> None:
    found = signs(await laptop.sample())
    assert found["cooling by intel_powerclamp"].active.value is False
    assert not any("TCC" in label for label in found)


async def test_battery_tells_state_charge_and_discharge(laptop: Board) -> None:
    batteries = (await laptop.sample()).batteries.value or ()
    # Neither the adapter nor the mouse.
    assert [battery.label for battery in batteries] == ["BAT0"]
    battery = batteries[0]
    assert (battery.status.value, battery.charge.value, battery.discharge_watts.value) == ("Discharging", 0.83, 11.48)
    assert battery.remaining_joules.value == pytest.approx(60.61 * 3600)
    # It is told with its state, so its hwmon chip is not a meter as well.
    assert "BAT0" not in meters(await laptop.sample())


async def test_a_charging_battery_that_tells_amperes_takes_power(laptop: Board) -> None:
    uevent = "\n".join(
        f"POWER_SUPPLY_{line}"
        for line in (
            "TYPE=Battery", "STATUS=Charging", "CAPACITY=40",
            "VOLTAGE_NOW=12000000", "CURRENT_NOW=1500000", "CHARGE_NOW=2000000",
        )
    )  # fmt: skip
    laptop.write("sys/class/power_supply/BAT0/uevent", uevent)
    battery = ((await laptop.sample()).batteries.value or ())[0]
    assert battery.discharge_watts.value == -18.0
    assert battery.remaining_joules.value == pytest.approx(24 * 3600)


async def test_fans_tell_turns_and_what_drives_them(pi: Board) -> None:
    fan = ((await pi.sample()).fans.value or ())[0]
    assert (fan.label, fan.rpm.value) == ("pwmfan", 2710)
    assert fan.duty.value == pytest.approx(75 / 255)


async def test_a_jetsons_fan_and_its_tachometer_are_two_chips(jetson: Board) -> None:
    fans = (await jetson.sample()).fans.value or ()
    assert [(fan.label, fan.rpm.value) for fan in fans] == [("pwmfan", None), ("pwm_tach", 1845)]
    assert fans[0].duty.value == pytest.approx(89 / 255)


async def test_intel_npu_load_is_its_busy_time_between_two_samples(laptop: Board) -> None:
    info = await laptop.monitor.describe()
    key = (info.npus.value or ())[0].key
    await laptop.sample()
    laptop.write("sys/class/accel/accel0/device/npu_busy_time_us", str(182_011 + 500_000))
    npu = next(item for item in (await laptop.sample(after=2.0)).accelerators if item.key == key)
    assert npu.utilisation.value == pytest.approx(0.25)
    # That kernel is too old for the clock.
    assert npu.frequency_hz.reason == "there is no /sys/class/accel/accel0/device/npu_current_frequency_mhz"


async def test_rockchip_npu_load_needs_root_and_is_the_mean_of_its_cores(rockchip: Board) -> None:
    gpu, npu = (await rockchip.sample()).accelerators
    assert gpu.utilisation.value == 0.07
    assert npu.utilisation.reason == "needs root: /sys/kernel/debug/rknpu/load"
    (rockchip.root / "recorded/denied").unlink()
    rockchip.write("sys/kernel/debug/rknpu/load", "NPU load:  Core0: 60%, Core1: 30%, Core2:  0%,")
    as_root = Board(rockchip.root)
    assert (await as_root.sample()).accelerators[1].utilisation.value == 0.3


async def test_a_zone_gives_the_limit_that_hwmon_does_not(rockchip: Board) -> None:
    limits = {item.label: item.critical_celsius.value for item in (await rockchip.sample()).temperatures.value or ()}
    assert limits["bigcore0_thermal"] == 115.0


async def test_a_zone_without_a_critical_trip_takes_the_hot_one(jetson: Board) -> None:
    limits = {item.label: item.critical_celsius for item in (await jetson.sample()).temperatures.value or ()}
    assert limits["soc1-thermal"].value == 104.5
    assert limits["tj-thermal"].value is None and "no critical trip" in limits["tj-thermal"].reason


@pytest.mark.parametrize(
    ("machine", "path", "cell"),
    [
        ("raspberry-pi-5", "sys/class/hwmon/hwmon1/temp1_input", "rp1_adc: -"),
        ("raspberry-pi-5", "sys/class/hwmon/hwmon2/fan1_input", "pwmfan driven 29 %"),
        ("jetson-orin-nano", "sys/class/hwmon/hwmon1/curr2_input", "VDD_CPU_GPU_CV -"),
        ("jetson-orin-nano", "sys/class/hwmon/hwmon1/in3_input", "VDD_SOC -"),
        ("jetson-orin-nano", "sys/class/hwmon/hwmon2/rpm", "pwm_tach -"),
        ("jetson-orin-nano", "sys/class/thermal/thermal_zone5/temp", "soc0-thermal: -"),
        ("jetson-orin-nano", "sys/class/thermal/cooling_device1/cur_state", "cooling by cpu-throttle-alert -"),
        ("rockchip-rk3588", "sys/class/hwmon/hwmon6/temp1_input", "npu_thermal: -"),
        ("rockchip-rk3588", "sys/class/thermal/cooling_device3/cur_state", "cooling by devfreq -"),
        ("intel-hybrid-laptop", "sys/class/hwmon/hwmon3/fan2_input", "thinkpad 2 -"),
        ("intel-hybrid-laptop", "sys/class/power_supply/BAT0/uevent", "BAT0 -, - -"),
        ("intel-hybrid-laptop", "sys/class/hwmon/hwmon1/temp1_input", "nvme Composite: -"),
    ],
)
async def test_unplugging_a_sensor_turns_one_cell_into_a_dash_with_the_reason(
    tmp_path: Path, machine: str, path: str, cell: str
) -> None:
    board = Board(unfold(machine, tmp_path))
    await board.lines()
    before = await board.lines()
    (board.root / path).unlink()
    after = await board.lines()
    changed = [new for old, new in zip(before, after, strict=True) if old != new]
    assert len(changed) == 1
    assert changed[0][9:].startswith(cell)
    assert f"there is no /{path}" in changed[0]


async def test_an_unplugged_energy_counter_becomes_a_dash(granted: Board) -> None:
    await granted.sample()
    assert meters(await granted.sample())["psys"].watts.value == 0
    (granted.root / "sys/class/powercap/intel-rapl:1/energy_uj").unlink()
    found = meters(await granted.sample())
    assert found["psys"].watts.reason == "there is no /sys/class/powercap/intel-rapl:1/energy_uj"
    assert found["package-0"].watts.value == 0


async def test_a_sensor_plugged_in_later_joins_the_list(jetson: Board) -> None:
    await jetson.sample()
    jetson.write("sys/class/hwmon/hwmon9/name", "ina226")
    jetson.write("sys/class/hwmon/hwmon9/power1_input", "4250000")
    assert "ina226" not in meters(await jetson.sample(after=5.0))
    assert meters(await jetson.sample(after=60.0))["ina226"].watts.value == 4.25
