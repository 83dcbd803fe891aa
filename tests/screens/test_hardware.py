"""The Hardware screen on this machine and on recorded ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from textual.containers import VerticalScroll

from edgetui.app import EdgetuiApp
from edgetui.core.hardware_text import processor_facts, sample_facts, system_facts
from edgetui.services.hardware import HardwareMonitor
from edgetui.widgets.hardware_body import HardwareBody
from edgetui.widgets.history_chart import HistoryChart
from edgetui.widgets.line_panel import LinePanel
from tests.recorded_machine import unfold
from tests.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from textual.geometry import Region
    from textual.pilot import Pilot

    from edgetui.core.hardware import HardwareSample
    from edgetui.services.lab import Lab


def text(app: EdgetuiApp) -> str:
    return "\n".join(panel.text for panel in app.screen.query(LinePanel))


def panel(app: EdgetuiApp, name: str) -> LinePanel:
    return app.screen.query_one(f"#{name}", LinePanel)


async def shown(app: EdgetuiApp, pilot: Pilot[None], words: str) -> None:
    await until(lambda: words in text(app), pilot.pause)


@pytest.mark.parametrize("size", [(80, 24), (200, 60), (40, 10), (12, 5)])
async def test_this_machine_is_shown_live_at_any_size(lab: Lab, size: tuple[int, int]) -> None:
    app = EdgetuiApp(lab)
    async with app.run_test(size=size) as pilot:
        await shown(app, pilot, "CORES")
        # The first sample has no load yet; the ones after it have.
        await until(lambda: "%" in panel(app, "load-history").text, pilot.pause)
        for label in ("CPU", "LOAD", "MEMORY", "SWAP", "DISKS", "AVERAGE", "TEMP", "GPU", "NPU", "CORES", "CACHES"):
            assert label in text(app)


async def test_the_first_frame_does_not_wait_for_a_sample(lab: Lab) -> None:
    app = EdgetuiApp(lab)
    async with app.run_test() as pilot:
        frame = "\n".join(strip.text for strip in app.screen._compositor.render_strips())
        assert "[1 Hardware]" in frame
        await shown(app, pilot, "CPU")
        assert not app.screen.query("#waiting")


async def test_a_small_board_fits_into_80x24_without_scrolling(lab: Lab, tmp_path: Path) -> None:
    lab.hardware = HardwareMonitor(unfold("raspberry-pi-5", tmp_path))
    app = EdgetuiApp(lab)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(app, pilot, "rp1_adc 51 C")
        await shown(app, pilot, "CORES")
        await pilot.pause()
        assert "BOARD    Raspberry Pi 5 Model B Rev 1.0" in text(app)
        assert "/boot/firmware 435 MiB free of 510 MiB" in text(app)
        assert "GPU      Broadcom VideoCore (2712-v3d), driver v3d" in text(app)
        assert panel(app, "cores").region.bottom <= 23


async def test_many_cores_fill_a_grid_and_the_rest_is_reached_by_keys(lab: Lab, tmp_path: Path) -> None:
    lab.hardware = HardwareMonitor(unfold("intel-hybrid-laptop", tmp_path))
    app = EdgetuiApp(lab)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(app, pilot, "21 ")
        await pilot.pause()
        assert len([line for line in panel(app, "cores").text.splitlines() if "GHz" in line or "MHz" in line]) <= 11
        scroll = app.screen.query_one("#hardware", VerticalScroll)
        await pilot.press("end")
        await until(lambda: scroll.scroll_y > 0, pilot.pause)
        assert panel(app, "system").region.bottom <= 23


async def test_a_wide_terminal_has_two_columns_and_a_narrower_one_goes_back_to_one(lab: Lab) -> None:
    app = EdgetuiApp(lab)
    async with app.run_test(size=(200, 60)) as pilot:
        await shown(app, pilot, "CORES")
        await until(lambda: panel(app, "cores").region.x > 90, pilot.pause)
        await pilot.resize_terminal(80, 24)
        await until(lambda: panel(app, "cores").region.x < 10, pilot.pause)
        await pilot.resize_terminal(30, 8)
        await until(lambda: panel(app, "cores").size.width <= 30, pilot.pause)


async def test_a_sensor_unplugged_in_mid_session_becomes_a_dash_with_the_reason(lab: Lab, tmp_path: Path) -> None:
    root = unfold("raspberry-pi-5", tmp_path)
    lab.hardware = HardwareMonitor(root)
    app = EdgetuiApp(lab)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(app, pilot, "rp1_adc 51 C")
        (root / "sys/class/hwmon/hwmon1/temp1_input").unlink()
        await shown(app, pilot, "cpu_thermal 48 C   rp1_adc -")
        assert "there is no /sys/class/hwmon/hwmon1/temp1_input" in text(app)


async def test_power_throttling_and_fans_of_a_board_are_shown(lab: Lab, tmp_path: Path) -> None:
    root = unfold("jetson-orin-nano", tmp_path)
    lab.hardware = HardwareMonitor(root)
    app = EdgetuiApp(lab)
    async with app.run_test(size=(200, 60)) as pilot:
        await shown(app, pilot, "VDD_IN 5.73 W   VDD_CPU_GPU_CV 1.26 W   VDD_SOC 1.50 W")
        assert "clock limit now (CPUs 0-5 to 1.50 GHz of 1.73 GHz)" in panel(app, "power").text
        assert "15W (nvpmodel 0 of 15W, 25W, MAXN_SUPER, 7W)" in panel(app, "power").text
        assert "pwmfan driven 35 %   pwm_tach 1845 rpm" in panel(app, "power").text
        assert "busy 14 %" in panel(app, "accelerators").text
        (root / "sys/class/hwmon/hwmon1/curr3_input").unlink()
        await shown(app, pilot, "VDD_IN 5.73 W   VDD_CPU_GPU_CV 1.26 W   VDD_SOC -")


async def test_a_meter_that_needs_a_permission_says_what_grants_it(lab: Lab, tmp_path: Path) -> None:
    lab.hardware = HardwareMonitor(unfold("intel-hybrid-laptop", tmp_path))
    app = EdgetuiApp(lab)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(app, pilot, "package-0 -   psys -")
        words = " ".join(panel(app, "power").text.split())
        assert "sudo chmod a+r /sys/class/powercap/*/energy_uj" in words
        assert "BAT0 83 %, Discharging 11.5 W, 60.6 Wh left" in words


async def test_a_memory_limit_has_a_line_of_its_own(lab: Lab, tmp_path: Path) -> None:
    lab.hardware = HardwareMonitor(unfold("container-cgroup-v2", tmp_path))
    app = EdgetuiApp(lab)
    async with app.run_test(size=(100, 40)) as pilot:
        await shown(app, pilot, "768 MiB of 4.00 GiB used (cgroup)")
        words = " ".join(text(app).split())
        assert "1.5 usable here (cgroup quota)" in words
        assert "NVIDIA L4, 22.5 GiB, driver nvidia 550.90.12" in words


class CountingMonitor(HardwareMonitor):
    """The real monitor, counting how often it is asked."""

    samples = 0

    async def sample(self) -> HardwareSample:
        self.samples += 1
        return await super().sample()


async def test_nothing_is_sampled_while_another_screen_is_shown(lab: Lab) -> None:
    monitor = lab.hardware = CountingMonitor()
    app = EdgetuiApp(lab)

    def sampling() -> bool:
        return any(worker.group == "hardware" and worker.is_running for worker in app.workers)

    async with app.run_test() as pilot:
        await until(lambda: monitor.samples >= 2, pilot.pause)
        await pilot.press("7")
        await until(lambda: app.current_mode == "readiness" and not sampling(), pilot.pause)
        asked = monitor.samples
        await pilot.press("1")
        await until(lambda: monitor.samples > asked and sampling(), pilot.pause)
        assert len(app.screen.query("#load-history")) == 1


async def test_leaving_before_the_machine_is_read_leaves_one_body(lab: Lab) -> None:
    app = EdgetuiApp(lab)
    async with app.run_test() as pilot:
        await pilot.press("7", "1", "7", "1")
        await shown(app, pilot, "CORES")
        assert len(app.screen.query("HardwareBody")) == 1


async def test_without_utf8_everything_is_drawn_in_ascii(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgetui.widgets.bars.draws_unicode", lambda: False)
    app = EdgetuiApp(lab)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(app, pilot, "CORES")
        await until(lambda: "%" in panel(app, "load-history").text, pilot.pause)
        assert text(app).isascii()


BOARDS = ["raspberry-pi-5", "jetson-orin-nano", "intel-hybrid-laptop", "container-cgroup-v1"]


@pytest.mark.parametrize("board", BOARDS)
async def test_the_screen_has_every_label_and_every_reason_that_the_command_prints(
    lab: Lab, tmp_path: Path, board: str
) -> None:
    root = unfold(board, tmp_path)
    lab.hardware = HardwareMonitor(root, models_dir=tmp_path)
    info, sample = await lab.hardware.describe(), await lab.hardware.sample()
    app = EdgetuiApp(lab)
    async with app.run_test(size=(200, 60)) as pilot:
        await shown(app, pilot, "TERMINAL")
        await shown(app, pilot, "CORES")
        words = " ".join(text(app).split())
        for label, told in [*processor_facts(info), *sample_facts(info, sample), *system_facts(info)]:
            assert label in words
            if told.startswith("- (") and "first" not in told:
                assert told.removeprefix("- (").removesuffix(")") in words, label


async def test_the_engines_are_asked_a_moment_later_and_what_lacks_is_said(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgetui.screens.hardware.ENGINES_AFTER_S", 0.0)
    lab.hardware = HardwareMonitor(unfold("rockchip-rk3588", tmp_path))
    app = EdgetuiApp(lab)
    async with app.run_test(size=(200, 60)) as pilot:
        await shown(app, pilot, "llama-cpp-python")
        words = " ".join(panel(app, "engines").text.split())
        assert "ARM Mali (rk3588-mali): llama.cpp is built without Vulkan" in words
        assert "Rockchip RKNPU (rk3588-rknpu): no engine of edgetui can use it" in words


async def test_a_governor_and_a_disk_that_go_away_become_dashes_alone(lab: Lab, tmp_path: Path) -> None:
    root = unfold("raspberry-pi-5", tmp_path)
    now = [0.0]

    def clock() -> float:
        now[0] += 6.0
        return now[0]

    lab.hardware = HardwareMonitor(root, clock, models_dir=tmp_path)
    app = EdgetuiApp(lab)
    async with app.run_test(size=(100, 60)) as pilot:
        await shown(app, pilot, "GOVERNOR ondemand")
        for file in root.glob("sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"):
            file.unlink()
        (root / "recorded/filesystems.json").write_text("{}")
        await shown(app, pilot, "GOVERNOR - (there is no /sys/devices/system/cpu/cpu3/cpufreq/scaling_governor)")
        await shown(app, pilot, "the recording has no figures for /boot/firmware")
        assert "rp1_adc 51 C" in text(app) and "pwmfan 2710 rpm" in text(app)


async def test_the_size_of_the_terminal_follows_it(lab: Lab) -> None:
    app = EdgetuiApp(lab)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(app, pilot, ", 80x24, ")
        await pilot.resize_terminal(100, 40)
        await shown(app, pilot, ", 100x40, ")


async def test_a_machine_that_does_not_change_is_not_drawn_again(lab: Lab, tmp_path: Path) -> None:
    lab.hardware = HardwareMonitor(unfold("rockchip-rk3588", tmp_path), models_dir=tmp_path)
    app = EdgetuiApp(lab)
    async with app.run_test(size=(200, 60)) as pilot:
        await shown(app, pilot, "GOVERNOR ondemand")
        body = app.screen.query_one(HardwareBody)
        sample = await lab.hardware.sample()
        body.show(sample)
        await pilot.pause()
        drawn: list[str] = []
        for item in app.screen.query(LinePanel):
            if not isinstance(item, HistoryChart):
                note_repaints(item, drawn)
        body.show(sample)
        body.show(sample)
        assert drawn == []


def note_repaints(widget: LinePanel, drawn: list[str]) -> None:
    """Note every repaint that the widget asks for."""
    original = widget.refresh

    def refresh(*regions: Region, **options: bool) -> LinePanel:
        drawn.append(str(widget.id))
        return original(*regions, **options)

    widget.refresh = refresh  # type: ignore[method-assign]
