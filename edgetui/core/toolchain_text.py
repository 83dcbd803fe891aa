"""Toolchains as words: their states, and what stops one from being installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetui.core.failures import EdgetuiError
from edgetui.core.plain_text import plain_line
from edgetui.core.units import format_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from edgetui.core.toolchains import ToolchainState, ToolchainStatus

STATE_WORDS: dict[ToolchainState, str] = {
    "absent": "not installed",
    "ready": "installed",
    "outdated": "outdated",
    "broken": "broken",
}


def no_space(name: str, folder: Path, needed: int, headroom: int, free: int) -> EdgetuiError:
    """All in bytes."""
    return EdgetuiError(
        "no_space",
        f"Installing the toolchain {name} takes {format_bytes(needed)} and {format_bytes(headroom)} shall stay free,"
        f" but {folder} has {format_bytes(free)} left: free some space, or lower disk_headroom_bytes.",
    )


def status_text(status: ToolchainStatus) -> str:
    """`installed: Python 3.11.7, 45 packages`, `outdated: its pins have changed`."""
    words = STATE_WORDS[status.state]
    if status.reason:
        return f"{words}: {status.reason}"
    if status.state == "ready" and status.mark is not None:
        converter = f", converter of llama-cpp-python {status.mark.converter}" if status.mark.converter else ""
        return f"{words}: Python {status.mark.python}, {len(status.mark.versions)} packages{converter}"
    return words


def what_to_do(status: ToolchainStatus) -> str:
    """The command that makes it ready; empty where there is nothing to do."""
    return "" if status.state == "ready" else f"edgetui toolchain install {status.name}"


def broken_toolchain(name: str, reason: str, detail: str = "") -> EdgetuiError:
    """One that is there and does not work; `reason` without a full stop."""
    return EdgetuiError(
        "crashed",
        f"The toolchain {name} does not work ({plain_line(reason).rstrip('.')}): install it again with"
        f" `edgetui toolchain install {name} --again`, or on Readiness (7).",
        detail,
    )
