"""`edgetui hw`: this machine, once, as text, Markdown or JSON."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from edgetui.core.plain_text import plain_line

if TYPE_CHECKING:
    from edgetui.core.accelerator_use import EngineDevices
    from edgetui.core.hardware import HardwareSample, MachineInfo
    from edgetui.core.terminal import TerminalInfo

_INTERVAL_S = 0.5
"""Load is measured between two samples."""
_LABEL_WIDTH = 10


class _Found(NamedTuple):
    info: MachineInfo
    sample: HardwareSample
    engines: tuple[EngineDevices, ...]
    terminal: TerminalInfo
    private: tuple[str, ...]


def hw(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON; figures that are missing are null.")] = False,
    as_markdown: Annotated[
        bool,
        typer.Option("--markdown", help="Print Markdown for a bug report, without names, addresses, serial numbers."),
    ] = False,
) -> None:
    """Show what this machine is and what it does now."""
    if as_json and as_markdown:
        raise typer.BadParameter("choose --json or --markdown", param_hint="--markdown")
    found = asyncio.run(_look())
    if as_json:
        _print_json(found)
    elif as_markdown:
        from edgetui import __version__
        from edgetui.core.hardware_report import markdown

        print(markdown(f"Machine, as edgetui {__version__} sees it", _facts(found), found.private))
    else:
        for label, text in _facts(found):
            print(f"{label:<{_LABEL_WIDTH}}{plain_line(text)}".rstrip())


async def _look() -> _Found:
    from edgetui.core.terminal import terminal_info
    from edgetui.services.lab import Lab

    lab = Lab()
    try:
        # The engines are asked while the load is measured.
        engines = asyncio.ensure_future(lab.engine_devices.describe())
        info = await lab.hardware.describe()
        await lab.hardware.sample()
        await asyncio.sleep(_INTERVAL_S)
        sample = await lab.hardware.sample()
        return _Found(info, sample, await engines, terminal_info(), await lab.hardware.private_words())
    finally:
        await lab.close()


def _print_json(found: _Found) -> None:
    import json

    from edgetui.core.hardware import flatten_readings

    parts = {
        "machine": found.info,
        "now": found.sample,
        "engines": found.engines,
        "terminal": found.terminal,
    }
    figures: dict[str, Any] = {}
    reasons: dict[str, str] = {}
    for name, part in parts.items():
        figures[name], missing = flatten_readings(part)
        reasons |= {f"{name}{'' if path.startswith('[') else '.'}{path}": reason for path, reason in missing.items()}
    print(json.dumps({**figures, "missing": reasons}, indent=2, ensure_ascii=False))


def _facts(found: _Found) -> list[tuple[str, str]]:
    from edgetui.core.accelerator_use import engine_facts, use_facts
    from edgetui.core.hardware_text import processor_facts, sample_facts, system_facts
    from edgetui.core.terminal import terminal_text

    return [
        *processor_facts(found.info),
        *sample_facts(found.info, found.sample),
        *engine_facts(found.engines),
        *use_facts(found.info, found.engines),
        *system_facts(found.info),
        ("TERMINAL", terminal_text(found.terminal)),
    ]
