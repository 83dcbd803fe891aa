"""`edgetui hw`: this machine, once, as text or JSON."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from edgetui.core.plain_text import plain_line

if TYPE_CHECKING:
    from edgetui.core.hardware import HardwareSample, MachineInfo

_INTERVAL_S = 0.5
"""Load is measured between two samples."""
_LABEL_WIDTH = 10


def hw(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON; figures that are missing are null.")] = False,
) -> None:
    """Show what this machine is and what it does now."""
    info, sample = asyncio.run(_look())
    if as_json:
        _print_json(info, sample)
    else:
        _print_text(info, sample)


async def _look() -> tuple[MachineInfo, HardwareSample]:
    from edgetui.services.hardware import HardwareMonitor

    hardware = HardwareMonitor()
    info = await hardware.describe()
    await hardware.sample()
    await asyncio.sleep(_INTERVAL_S)
    return info, await hardware.sample()


def _print_json(info: MachineInfo, sample: HardwareSample) -> None:
    import json

    from edgetui.core.hardware import flatten_readings

    machine, machine_reasons = flatten_readings(info)
    now, now_reasons = flatten_readings(sample)
    reasons = {f"machine.{path}": reason for path, reason in machine_reasons.items()}
    reasons |= {f"now.{path}": reason for path, reason in now_reasons.items()}
    print(json.dumps({"machine": machine, "now": now, "missing": reasons}, indent=2, ensure_ascii=False))


def _print_text(info: MachineInfo, sample: HardwareSample) -> None:
    from edgetui.core.hardware_text import processor_facts, sample_facts, system_facts

    for label, text in [*processor_facts(info), *sample_facts(info, sample), *system_facts(info)]:
        print(f"{label:<{_LABEL_WIDTH}}{plain_line(text)}".rstrip())
