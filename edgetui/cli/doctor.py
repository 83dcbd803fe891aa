"""`edgetui doctor`: the readiness checklist, with an exit status for scripts."""

from __future__ import annotations

import asyncio
import sys
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated

import typer

from edgetui.core.plain_text import plain_line

if TYPE_CHECKING:
    from edgetui.core.readiness import Check, Report

_STATE_WIDTH, _TITLE_WIDTH = 9, 15
_WORDS = {"skip": "skipped"}


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Check what is installed and works; exits with 0 ready, 1 ready with warnings, 2 not ready."""
    report = asyncio.run(_check(show_progress=sys.stderr.isatty() and not as_json))
    if as_json:
        _print_json(report)
    else:
        for check in report.checks:
            _print_check(check)
        print(f"\n{report.verdict.capitalize()}.")
    raise typer.Exit(report.exit_code)


async def _check(*, show_progress: bool) -> Report:
    from edgetui.core.readiness import Report
    from edgetui.services.lab import Lab

    lab = Lab()
    titles = lab.readiness.titles
    found: dict[str, Check] = {}
    try:
        async with aclosing(lab.readiness.run()) as checks:
            async for check in checks:
                found[check.key] = check
                if show_progress:
                    sys.stderr.write(f"\rchecking: {len(found)} of {len(titles)} done")
                    sys.stderr.flush()
    finally:
        if show_progress:
            sys.stderr.write("\r" + " " * 40 + "\r")
        await lab.close()
    return Report(tuple(found[key] for key in titles))


def _print_check(check: Check) -> None:
    state = _WORDS.get(check.state, check.state)
    print(f"{state:<{_STATE_WIDTH}}{check.title:<{_TITLE_WIDTH}}{plain_line(check.found)}")
    if check.state in ("ok", "skip"):
        return
    indent = " " * (_STATE_WIDTH + _TITLE_WIDTH)
    print(f"{indent}needed: {check.needed}")
    print(f"{indent}why: {check.why}")
    if check.action:
        print(f"{indent}do: {plain_line(check.action)}")


def _print_json(report: Report) -> None:
    import json

    import msgspec

    print(
        json.dumps(
            {
                "verdict": report.verdict,
                "exit_code": report.exit_code,
                "checks": [msgspec.structs.asdict(check) for check in report.checks],
            },
            indent=2,
            ensure_ascii=False,
        )
    )
