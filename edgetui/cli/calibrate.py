"""`edgetui calibrate`: measure this machine, so that the speed of models can be predicted."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from edgetui.core.plain_text import plain_line

if TYPE_CHECKING:
    from edgetui.core.calibration import Calibration


def calibrate(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    seconds: Annotated[float, typer.Option("--seconds", min=0.1, max=60, help="About how long it may take.")] = 8.0,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Keep figures measured while other programs computed.")
    ] = False,
) -> None:
    """Measure memory bandwidth and matrix throughput of this machine: about ten seconds, with nothing else at work."""
    calibration = asyncio.run(_measure(seconds, anyway))
    if as_json:
        import json

        import msgspec

        print(json.dumps(msgspec.to_builtins(calibration), indent=2))
        return
    from edgetui.core.speed_text import calibration_facts

    for label, text in calibration_facts(calibration):
        print(f"{label:<11}{plain_line(text)}")


async def _measure(seconds: float, anyway: bool) -> Calibration:
    from edgetui.services.lab import Lab

    lab = Lab()
    shown = sys.stderr.isatty()

    def show(fraction: float) -> None:
        if shown:
            print(f"\rcalibrating {fraction:4.0%}", end="", file=sys.stderr, flush=True)

    try:
        return await lab.speed.calibrate(show, seconds, anyway=anyway)
    finally:
        if shown:
            with suppress(OSError):
                print("\r" + " " * 20 + "\r", end="", file=sys.stderr, flush=True)
        await lab.close()
