"""What a checklist adds up to."""

from __future__ import annotations

import pytest

from edgetui.core.readiness import Check, CheckState, Report


def check(state: CheckState) -> Check:
    return Check(key=state, title=state, state=state, found="", needed="", why="")


@pytest.mark.parametrize(
    ("states", "verdict", "exit_code"),
    [
        (("ok", "skip"), "ready", 0),
        (("ok", "warn"), "ready with warnings", 1),
        (("ok", "unknown"), "ready with warnings", 1),
        (("fail", "warn", "ok"), "not ready", 2),
    ],
)
def test_the_worst_line_decides_and_optional_ones_do_not(
    states: tuple[CheckState, ...], verdict: str, exit_code: int
) -> None:
    report = Report(tuple(check(state) for state in states))
    assert (report.verdict, report.exit_code) == (verdict, exit_code)
