"""What a Mac tells of itself by its own commands: processor, kinds of cores, extensions, GPU, Neural Engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from edgetui.core.hardware import Accelerator, CoreGroup, InstructionSet, Reading, known, unknown

if TYPE_CHECKING:
    from edgetui.meters.source import MachineSource

_FEATURES = (
    ("NEON", "AdvSIMD"),
    ("FP16", "arm.FEAT_FP16"),
    ("dotprod", "arm.FEAT_DotProd"),
    ("i8mm", "arm.FEAT_I8MM"),
    ("BF16", "arm.FEAT_BF16"),
    ("SME", "arm.FEAT_SME"),
)
_SHARED = unknown("it uses the main memory")


def sysctl(source: MachineSource) -> dict[str, str]:
    """Names and values of `hw` and `machdep.cpu`; empty where there is no such command."""
    printed = source.command("sysctl", "hw", "machdep.cpu").value or ""
    pairs = (line.partition(": ") for line in printed.splitlines())
    return {name: value.strip() for name, _, value in pairs}


def core_groups(told: dict[str, str]) -> tuple[CoreGroup, ...]:
    """Performance and efficiency cores; macOS numbers no CPU, so they are counted from 0."""
    groups: list[CoreGroup] = []
    first = 0
    for level in range(int(told.get("hw.nperflevels", "0") or 0)):
        count = int(told.get(f"hw.perflevel{level}.logicalcpu", "0"))
        name = told.get(f"hw.perflevel{level}.name", f"level {level}")
        hidden: Reading[int] = unknown("macOS does not tell it")
        groups.append(CoreGroup(name=name, cpus=tuple(range(first, first + count)), max_frequency_hz=hidden))
        first += count
    return tuple(groups) if len(groups) > 1 else ()


def instruction_sets(told: dict[str, str]) -> Reading[tuple[InstructionSet, ...]]:
    """Of Apple silicon; an Intel Mac's are not asked."""
    if "hw.optional.arm64" not in told and "hw.optional.AdvSIMD" not in told:
        return unknown("edgetui asks Apple silicon only")
    return known(tuple(InstructionSet(name, told.get(f"hw.optional.{key}") == "1") for name, key in _FEATURES))


def gpus(source: MachineSource) -> Reading[tuple[Accelerator, ...]]:
    """By system_profiler, which takes a moment."""
    printed = source.command("system_profiler", "SPDisplaysDataType", "-json")
    if printed.value is None:
        return unknown(printed.reason)
    try:
        listed: list[dict[str, Any]] = msgspec.json.decode(printed.value)["SPDisplaysDataType"]
    except (msgspec.DecodeError, KeyError, TypeError):
        return unknown("system_profiler's answer cannot be read")
    found = []
    for index, item in enumerate(listed):
        name, cores = str(item.get("sppci_model", "GPU")), item.get("sppci_cores")
        apple = "apple" in str(item.get("spdisplays_vendor", name)).lower()
        found.append(
            Accelerator(
                key=f"gpu{index}",
                kind="gpu",
                vendor="Apple" if apple else name.partition(" ")[0],
                name=f"{name} GPU, {cores} cores" if cores else name,
                driver=known("Metal"),
                memory_bytes=_SHARED if apple else unknown("system_profiler tells it in words only"),
            )
        )
    return known(tuple(found)) if found else unknown("system_profiler lists none")


def npus(told: dict[str, str]) -> Reading[tuple[Accelerator, ...]]:
    """Every Apple chip since the M1 has a Neural Engine; nothing tells a figure of it."""
    chip = told.get("machdep.cpu.brand_string", "")
    if not chip.startswith("Apple"):
        return unknown("Macs with Intel processors have none")
    engine = Accelerator(
        key="ane",
        kind="npu",
        vendor="Apple",
        name=f"Apple Neural Engine ({chip})",
        driver=known("Core ML"),
        memory_bytes=_SHARED,
    )
    return known((engine,))
