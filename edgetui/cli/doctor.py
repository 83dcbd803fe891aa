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

_STATE_WIDTH, _TITLE_WIDTH = 9, 17
_WORDS = {"skip": "skipped"}


def doctor(
    self_test: Annotated[bool, typer.Option("--self-test", help="Also prove each engine by running it.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check what is installed and works; exits with 0 ready, 1 ready with warnings, 2 not ready."""
    report = asyncio.run(_check(self_test=self_test, show_progress=sys.stderr.isatty() and not as_json))
    if as_json:
        _print_json(report)
    else:
        group = ""
        for check in report.checks:
            if check.group != group:
                print(f"{chr(10) if group else ''}{check.group}")
                group = check.group
            _print_check(check)
        if not self_test:
            print("\nThat each engine computes is proved by --self-test.")
        print(f"\n{report.verdict.capitalize()}.")
    raise typer.Exit(report.exit_code)


async def _check(*, self_test: bool, show_progress: bool) -> Report:
    from edgetui.core.readiness import Report
    from edgetui.services.lab import Lab

    lab = Lab()
    readiness = lab.readiness
    titles = {**readiness.titles, **(readiness.proof_titles if self_test else {})}
    found: dict[str, Check] = {}
    try:
        for running in (readiness.run, readiness.prove) if self_test else (readiness.run,):
            async with aclosing(running()) as checks:
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
