"""A checklist's lines and what they add up to."""

from __future__ import annotations

from typing import Literal

import msgspec

CheckState = Literal["ok", "warn", "fail", "unknown", "skip"]
Verdict = Literal["ready", "ready with warnings", "not ready"]


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One line: what was found, what is needed, why, and what to do."""

    key: str
    title: str
    state: CheckState
    """`unknown` when the value could not be read; `skip` for what is optional and absent, or does not apply here."""
    found: str
    """The value, or why there is none."""
    needed: str
    why: str
    action: str = ""
    """The exact command or key that mends it; empty where there is nothing to do."""
    group: str = ""
    """The heading that it stands under."""


_TOOLCHAIN = "toolchain_"


def toolchain_key(name: str) -> str:
    """Key of the line of a toolchain."""
    return f"{_TOOLCHAIN}{name}"


def toolchain_of(key: str) -> str | None:
    """Name of the toolchain that a line is about; None for any other line."""
    return key.removeprefix(_TOOLCHAIN) if key.startswith(_TOOLCHAIN) else None


class Report(msgspec.Struct, frozen=True):
    """All lines of one run, in the checklist's order."""

    checks: tuple[Check, ...]

    def count(self, state: CheckState) -> int:
        """Lines in that state."""
        return sum(check.state == state for check in self.checks)

    @property
    def verdict(self) -> Verdict:
        """A value that could not be read counts as a warning: nothing is taken for good unseen."""
        if self.count("fail"):
            return "not ready"
        return "ready with warnings" if self.count("warn") or self.count("unknown") else "ready"

    @property
    def exit_code(self) -> int:
        """For scripts: 0 ready, 1 ready with warnings, 2 not ready."""
        return {"ready": 0, "ready with warnings": 1, "not ready": 2}[self.verdict]
