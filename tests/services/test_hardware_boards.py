"""What the owner of each recorded board would expect to see of clocks, memory, storage, libc and Vulkan."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgetui.core.hardware_report import markdown
from edgetui.core.hardware_text import processor_facts, sample_facts, system_facts
from edgetui.services.hardware import HardwareMonitor
from tests.recorded_machine import unfold

BOARDS = (
    "raspberry-pi-5",
    "jetson-orin-nano",
    "rockchip-rk3588",
    "intel-hybrid-laptop",
    "amd-desktop-gpu",
    "container-cgroup-v1",
    "container-cgroup-v2",
)


async def facts_of(name: str, folder: Path, models: str = "/home/maria/models") -> dict[str, list[str]]:
    """What `edgetui hw` prints of it: label to lines."""
    monitor = HardwareMonitor(unfold(name, folder), models_dir=Path(models))
    info, sample = await monitor.describe(), await monitor.sample()
    found: dict[str, list[str]] = {}
    label = ""
    for name_or_none, text in [*processor_facts(info), *sample_facts(info, sample), *system_facts(info)]:
        label = name_or_none or label
        found.setdefault(label, []).append(text)
    return found


async def test_raspberry_pi_5(tmp_path: Path) -> None:
    facts = await facts_of("raspberry-pi-5", tmp_path)
    assert facts["DISKS"][0] == "/: 46.6 GiB free of 58.0 GiB (ext4, SD card)"
    assert facts["MODELS"] == ["/home/maria/models on /: ext4, SD card, 46.6 GiB free"]
    assert facts["GOVERNOR"] == ["ondemand"]
    assert facts["CLOCK"] == ["up to 2.40 GHz", "CPUs 0-3: 1.50 GHz to 2.40 GHz, driver cpufreq-dt"]
    assert facts["HUGE"] == ["transparent always; none reserved"]
    assert facts["MODULES"][0].startswith("- (no SMBIOS table here: boards with a device tree have none")
    assert facts["SYSTEM"] == ["Debian GNU/Linux 12 (bookworm), Linux 6.6.51+rpt-rpi-2712, aarch64, glibc 2.36"]
    assert facts["VULKAN"] == ["broadcom_icd.aarch64 1.3.289"]


async def test_jetson_orin_nano(tmp_path: Path) -> None:
    facts = await facts_of("jetson-orin-nano", tmp_path)
    assert facts["DISKS"][0] == "/: 163 GiB free of 232 GiB (ext4, NVMe)"
    assert facts["ZRAM"] == ["zram0 to zram5 (lzo-rle): hold 24.0 KiB of 3.72 GiB in 72.0 KiB of memory"]
    assert facts["GOVERNOR"] == ["schedutil"]
    assert facts["CLOCK"][1] == "CPUs 0-5: 115 MHz to 1.73 GHz, driver tegra194"
    assert "glibc 2.35" in facts["SYSTEM"][0]
    assert "15W (nvpmodel 0 of 15W, 25W, MAXN_SUPER, 7W)" in facts["MODE"]


async def test_rockchip_rk3588(tmp_path: Path) -> None:
    facts = await facts_of("rockchip-rk3588", tmp_path)
    assert facts["CLOCK"][1:] == [
        "CPUs 4-7: 408 MHz to 2.40 GHz, driver cpufreq-dt",
        "CPUs 0-3: 408 MHz to 1.80 GHz, driver cpufreq-dt",
    ]
    assert facts["ZRAM"] == ["zram0 (zstd): holds 4.00 MiB of 7.73 GiB in 1.25 MiB of memory"]
    assert facts["NPU"][0] == "Rockchip RKNPU (rk3588-rknpu), driver RKNPU"
    assert "- (needs root: /sys/kernel/debug/rknpu/load)" in facts["NPU"]
    assert facts["DISKS"][0].endswith("(ext4, NVMe)")


async def test_intel_hybrid_laptop(tmp_path: Path) -> None:
    facts = await facts_of("intel-hybrid-laptop", tmp_path, "/mnt/models/gguf")
    assert facts["GOVERNOR"] == ["powersave, preference balance_performance"]
    assert facts["CLOCK"][1:] == [
        "CPUs 0-11: 400 MHz to 4.80 GHz, base 1.40 GHz, driver intel_pstate",
        "CPUs 12-19: 400 MHz to 3.80 GHz, base 900 MHz, driver intel_pstate",
        "CPUs 20-21: 400 MHz to 2.50 GHz, base 700 MHz, driver intel_pstate",
    ]
    assert "/media/user/USB STICK: 28.9 GiB free of 28.9 GiB (vfat, USB)" in facts["DISKS"]
    assert facts["MODELS"][0].startswith("/mnt/models/gguf on /mnt/models: nfs4, network")
    assert facts["MODULES"] == ["- (needs root: /sys/firmware/dmi/tables/DMI)"]
    assert facts["VIRTUAL"] == ["no, bare metal"]
    assert facts["VULKAN"] == ["intel_icd.x86_64 1.3.289, lvp_icd.x86_64 1.3.289 (computes on the CPU)"]
    assert facts["NPU"][0] == "Intel NPU, driver intel_vpu"


async def test_amd_desktop(tmp_path: Path) -> None:
    facts = await facts_of("amd-desktop-gpu", tmp_path)
    assert facts["GOVERNOR"] == ["powersave, preference performance"]
    assert facts["HUGE"] == ["transparent madvise; 512 reserved of 2.00 MiB, 512 free"]
    assert facts["DISKS"][0].endswith("(btrfs, NVMe)")
    assert facts["MODELS"][0].startswith("/home/maria/models on /home: btrfs, NVMe")
    assert facts["VULKAN"] == ["radeon_icd.x86_64 1.4.309"]


async def test_containers(tmp_path: Path) -> None:
    facts = await facts_of("container-cgroup-v2", tmp_path / "v2")
    assert "1.5 usable here (cgroup quota)" in facts["CPU"][0]
    assert facts["LIMIT"] == ["768 MiB used of 4.00 GiB (cgroup)"]
    assert "a container does not see the disk under its layers" in facts["DISKS"][0]
    facts = await facts_of("container-cgroup-v1", tmp_path / "v1")
    assert facts["SYSTEM"] == ["Alpine Linux v3.20, Linux 4.19.232, armv7l, musl 1.2.5-r0, in a container (Docker)"]
    assert facts["LIMIT"] == ["50.0 MiB used of 512 MiB (cgroup)"]


async def test_a_governor_that_somebody_changes_is_seen(tmp_path: Path) -> None:
    root = unfold("rockchip-rk3588", tmp_path)
    now = [0.0]
    monitor = HardwareMonitor(root, clock=lambda: now[0])
    await monitor.sample()
    for cpu in range(4, 8):
        (root / f"sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor").write_text("performance\n")
    now[0] = 10.0
    groups = (await monitor.sample()).governors.value or ()
    assert [(group.cpus, group.governor) for group in groups] == [
        ((0, 1, 2, 3), "ondemand"),
        ((4, 5, 6, 7), "performance"),
    ]


async def test_a_zram_device_that_is_set_up_later_is_seen(tmp_path: Path) -> None:
    root = unfold("rockchip-rk3588", tmp_path)
    size = root / "sys/block/zram0/disksize"
    size.write_text("0\n")
    now = [0.0]
    monitor = HardwareMonitor(root, clock=lambda: now[0])
    assert (await monitor.sample()).zram.reason == "no zram device is set up"
    size.write_text("1073741824\n")
    now[0] = 1.0
    assert [device.size_bytes for device in (await monitor.sample()).zram.value or ()] == [1 << 30]


async def test_risc_v_tells_its_vector_extension(tmp_path: Path) -> None:
    for path, text in (
        ("proc/sys/kernel/arch", "riscv64"),
        ("proc/cpuinfo", "processor\t: 0\nhart\t\t: 0\nisa\t\t: rv64imafdcv_zicbom_zvfh\nuarch\t\t: spacemit,x60\n"),
    ):
        target = tmp_path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    info = await HardwareMonitor(tmp_path).describe()
    assert [item.name for item in info.cpu.instruction_sets.value or () if item.present] == ["RVV", "Zvfh"]
    assert info.cpu.model.value == "spacemit,x60"


@pytest.mark.parametrize(
    ("board", "secrets"),
    [
        (
            "raspberry-pi-5",
            ("marias-board", "maria", "Muster", "deadbeef", "2c:cf:67:12:34:56", "0123456789abcdef0123456789abcdef"),
        ),
        ("intel-hybrid-laptop", ("annas-thinkpad", "anna", "Beispiel", "SECRET", "04:7b:cb", "USB STICK", "server")),
    ],
)
async def test_a_report_holds_nothing_of_its_owner(tmp_path: Path, board: str, secrets: tuple[str, ...]) -> None:
    root = unfold(board, tmp_path)
    # Names get where nobody expects them: into a kernel's name, a sensor's, a battery's.
    (root / "proc/sys/kernel/osrelease").write_text(f"6.12.0-{secrets[0]}\n")
    sensor = root / "sys/class/hwmon/hwmon40"
    sensor.mkdir(parents=True)
    (sensor / "name").write_text(f"hid-{secrets[4]}:aa:bb:cc\n" if board.startswith("intel") else f"hid-{secrets[4]}\n")
    (sensor / "temp1_input").write_text("30000\n")
    monitor = HardwareMonitor(root, models_dir=Path("/mnt/models" if "server" in secrets else "/home/maria/models"))
    info, sample = await monitor.describe(), await monitor.sample()
    facts = [*processor_facts(info), *sample_facts(info, sample), *system_facts(info)]
    report = markdown("Machine", facts, await monitor.private_words())
    for secret in secrets:
        assert secret not in report
    assert "(left out)" in report
    assert info.cpu.model.value is not None and info.cpu.model.value.split("(")[0] in report
    assert "ext4" in report


@pytest.mark.parametrize("board", BOARDS)
async def test_every_line_has_a_figure_or_a_reason(tmp_path: Path, board: str) -> None:
    for label, lines in (await facts_of(board, tmp_path)).items():
        assert label and all(text.strip() not in ("", "-", "- ()") for text in lines)
        assert "nothing looked for it" not in " ".join(lines)
