"""Memory modules by the firmware's table, whole and broken."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

from edgetui.core.machine_text import modules_text
from edgetui.services.hardware import HardwareMonitor
from edgetui.services.hardware.smbios import memory_modules
from tests.recorded_machine import unfold

if TYPE_CHECKING:
    from pathlib import Path


def device(size: int, kind: int, speed: int, *, extended_size: int = 0, strings: bytes = b"DIMM 0\0") -> bytes:
    """A structure of type 17 as SMBIOS 2.8 ends it."""
    data = struct.pack("<BBHHHHHHBBBBBHHBBBBBIH", 17, 34, 1, 2, 3, 64, 64, size, 0x0D, 0, 1, 0, kind, 0, speed,
                       0, 0, 0, 0, 0, extended_size, 0)  # fmt: skip
    return data[:34].ljust(34, b"\0") + strings + b"\0"


def test_sizes_are_told_in_mebibytes_kibibytes_or_in_the_longer_field() -> None:
    table = device(4096, 0x1A, 2666) + device(0x8000 | 512, 0x12, 0) + device(0x7FFF, 0x22, 4800, extended_size=65536)
    assert [module.size_bytes for module in memory_modules(table)] == [4 << 30, 512 << 10, 64 << 30]
    assert [module.kind.value for module in memory_modules(table)] == ["DDR4", "DDR", "DDR5"]


def test_empty_slots_and_unknown_sizes_are_no_modules() -> None:
    assert memory_modules(device(0, 0x1A, 2666) + device(0xFFFF, 0x1A, 2666)) == ()


def test_what_the_firmware_leaves_out_has_a_reason() -> None:
    (module,) = memory_modules(device(1024, 0x02, 0, strings=b"\0"))
    assert module.kind.value is None and module.kind.reason
    assert module.rated_mts.value is None and module.configured_mts.value is None


@pytest.mark.parametrize("cut", [0, 1, 3, 20, 34, 40])
def test_a_table_that_is_cut_off_gives_what_stands_before_the_cut(cut: int) -> None:
    whole = device(4096, 0x1A, 2666)
    assert len(memory_modules(whole + whole[:cut])) == 1


def test_a_structure_of_no_length_ends_the_table() -> None:
    assert memory_modules(b"\x11\0\0\0" * 100) == ()


async def test_modules_of_a_desktop_are_told_to_root(tmp_path: Path) -> None:
    root = unfold("amd-desktop-gpu", tmp_path)
    refused = (await HardwareMonitor(root).describe()).memory.modules
    assert refused.value is None and refused.reason == "needs root: /sys/firmware/dmi/tables/DMI"
    (root / "recorded/denied").unlink()
    modules = (await HardwareMonitor(root).describe()).memory.modules.value or ()
    assert [module.slot for module in modules] == ["DIMM A2", "DIMM B2"]
    assert modules_text(modules) == ["2 x 32.0 GiB DDR5 DIMM at 5200 MT/s (rated 6000)"]


async def test_what_udev_kept_for_everybody_is_told_without_root(tmp_path: Path) -> None:
    root = unfold("intel-hybrid-laptop", tmp_path)
    kept = root / "run/udev/data/+dmi:id"
    kept.parent.mkdir(parents=True)
    kept.write_text(
        "E:MEMORY_ARRAY_NUM_DEVICES=2\n"
        "E:MEMORY_DEVICE_0_SIZE=34359738368\nE:MEMORY_DEVICE_0_TYPE=DDR5\nE:MEMORY_DEVICE_0_FORM_FACTOR=SODIMM\n"
        "E:MEMORY_DEVICE_0_SPEED_MTS=5600\nE:MEMORY_DEVICE_0_CONFIGURED_SPEED_MTS=5600\n"
        "E:MEMORY_DEVICE_0_SERIAL_NUMBER=12345678\nE:MEMORY_DEVICE_1_PRESENT=0\n"
    )
    modules = (await HardwareMonitor(root).describe()).memory.modules.value or ()
    assert modules_text(modules) == ["1 x 32.0 GiB DDR5 SODIMM at 5600 MT/s"]
