"""A Mac by what its commands print, in the form that Apple's manual pages and owners' outputs show."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from edgetui.meters.source import MachineSource
from edgetui.services.hardware import apple

if TYPE_CHECKING:
    from pathlib import Path

SYSCTL = """\
hw.model: Mac14,2
hw.nperflevels: 2
hw.perflevel0.name: Performance
hw.perflevel0.logicalcpu: 4
hw.perflevel1.name: Efficiency
hw.perflevel1.logicalcpu: 4
hw.optional.arm64: 1
hw.optional.AdvSIMD: 1
hw.optional.arm.FEAT_FP16: 1
hw.optional.arm.FEAT_DotProd: 1
hw.optional.arm.FEAT_I8MM: 1
hw.optional.arm.FEAT_BF16: 1
hw.optional.arm.FEAT_SME: 0
machdep.cpu.brand_string: Apple M2
"""
DISPLAYS = {
    "SPDisplaysDataType": [
        {"sppci_model": "Apple M2", "sppci_cores": "8", "spdisplays_vendor": "sppci_vendor_Apple"},
    ]
}


def mac(root: Path) -> MachineSource:
    commands = root / "recorded/commands"
    commands.mkdir(parents=True)
    (commands / "sysctl-hw").write_text(SYSCTL)
    (commands / "system_profiler-SPDisplaysDataType").write_text(json.dumps(DISPLAYS))
    return MachineSource(root)


def test_a_mac_tells_its_cores_extensions_gpu_and_neural_engine(tmp_path: Path) -> None:
    source = mac(tmp_path)
    told = apple.sysctl(source)
    assert [(group.name, group.cpus) for group in apple.core_groups(told)] == [
        ("Performance", (0, 1, 2, 3)),
        ("Efficiency", (4, 5, 6, 7)),
    ]
    assert [item.name for item in apple.instruction_sets(told).value or () if item.present] == [
        "NEON",
        "FP16",
        "dotprod",
        "i8mm",
        "BF16",
    ]
    assert [(gpu.vendor, gpu.name) for gpu in apple.gpus(source).value or ()] == [("Apple", "Apple M2 GPU, 8 cores")]
    assert [npu.name for npu in apple.npus(told).value or ()] == ["Apple Neural Engine (Apple M2)"]


def test_an_intel_mac_has_no_neural_engine_and_a_silent_profiler_is_a_reason(tmp_path: Path) -> None:
    told = {"machdep.cpu.brand_string": "Intel(R) Core(TM) i7-8557U"}
    assert apple.npus(told).value is None and apple.instruction_sets(told).value is None
    assert apple.gpus(MachineSource(tmp_path)).reason == "system_profiler not installed"
    assert apple.sysctl(MachineSource(tmp_path)) == {}
