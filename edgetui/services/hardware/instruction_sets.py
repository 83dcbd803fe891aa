"""Which instruction-set extensions decide inference speed, by architecture, and what a CPU has of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from edgetui.core.hardware import InstructionSet, Reading, known, unknown
from edgetui.services.hardware.system import architecture

if TYPE_CHECKING:
    from edgetui.meters.source import MachineSource

_X86 = (
    ("SSE4.2", "sse4_2"),
    ("AVX", "avx"),
    ("AVX2", "avx2"),
    ("FMA", "fma"),
    ("F16C", "f16c"),
    ("AVX-VNNI", "avx_vnni"),
    ("AVX-512", "avx512f"),
    ("AVX-512 VNNI", "avx512_vnni"),
    ("AVX-512 BF16", "avx512_bf16"),
    ("AVX-512 FP16", "avx512_fp16"),
    ("AMX", "amx_tile"),
)
_ARM = (
    ("NEON", "asimd"),
    ("FP16", "asimdhp"),
    ("dotprod", "asimddp"),
    ("i8mm", "i8mm"),
    ("BF16", "bf16"),
    ("SVE", "sve"),
    ("SVE2", "sve2"),
    ("SME", "sme"),
)
_ARM_32 = (("NEON", "neon"),)
"""32-bit kernels name it so and have none of the others to offer."""


def instruction_sets(source: MachineSource) -> Reading[tuple[InstructionSet, ...]]:
    """Every extension that matters on this architecture, with whether all of the CPU's cores have it."""
    machine = architecture(source).value or ""
    cpuinfo = source.read("/proc/cpuinfo")
    if machine in ("x86_64", "i686", "i386"):
        return _by_flags(cpuinfo, "flags", _X86)
    if machine == "aarch64":
        return _by_flags(cpuinfo, "Features", _ARM)
    if machine.startswith("arm"):
        return _by_flags(cpuinfo, "Features", _ARM_32)
    if machine.startswith("riscv"):
        names = [set(_riscv_extensions(isa)) for isa in re.findall(r"^isa\s*:\s*(\S+)", cpuinfo, re.MULTILINE)]
        if not names:
            return unknown("/proc/cpuinfo has no isa line")
        common = set.intersection(*names)
        return known((InstructionSet("RVV", "v" in common), InstructionSet("Zvfh", "zvfh" in common)))
    return unknown(f"edgetui does not know the extensions of {machine or 'this architecture'}")


def _by_flags(cpuinfo: str, key: str, wanted: tuple[tuple[str, str], ...]) -> Reading[tuple[InstructionSet, ...]]:
    lines = re.findall(rf"^{key}\s*:(.*)$", cpuinfo, re.MULTILINE)
    if not lines:
        return unknown(f"/proc/cpuinfo has no {key} line")
    # On a machine that mixes cores a program may run on any: only what all have can be used.
    common = set.intersection(*(set(line.split()) for line in set(lines)))
    return known(tuple(InstructionSet(name, flag in common) for name, flag in wanted))


def _riscv_extensions(isa: str) -> list[str]:
    """`rv64imafdcv_zvfh` -> single letters and the names after underscores."""
    letters, *names = isa.lower().split("_")
    return [*letters[4:], *names]
