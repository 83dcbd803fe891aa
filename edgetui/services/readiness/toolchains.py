"""Checks of the toolchains' environments: there, complete, and made from the versions that are pinned now."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from edgetui.core.job_text import progress_line
from edgetui.core.readiness import Check, CheckState, toolchain_key
from edgetui.core.toolchain_text import status_text, what_to_do
from edgetui.core.units import MIB, format_bytes

if TYPE_CHECKING:
    from edgetui.core.jobs import JobRecord
    from edgetui.core.toolchains import ToolchainState, ToolchainStatus
    from edgetui.services.toolchains import Toolchains

_STATES: dict[ToolchainState, CheckState] = {"ready": "ok", "absent": "skip", "outdated": "warn", "broken": "warn"}


async def check_toolchain(toolchains: Toolchains, name: str) -> Check:
    """The line of one toolchain; it is not started for it."""
    return toolchain_line(await toolchains.status(name), await toolchains.installation(name), time.time())


def toolchain_line(status: ToolchainStatus, installation: JobRecord | None, now: float) -> Check:
    """The line for a toolchain, and for the job that is installing it at `now`, a Unix time in seconds."""
    toolchain = status.toolchain
    state, found, action = _STATES[status.state], status_text(status), what_to_do(status)
    if installation is not None:
        state, found = "skip", f"being installed: {progress_line(installation, now)}"
        if installation.note:
            found += f", {installation.note}"
        action = f"Wait for it, or edgetui jobs cancel {installation.job_id}"
    return Check(
        key=toolchain_key(toolchain.name),
        title=toolchain.title,
        state=state,
        found=found,
        needed=f"optional: an environment of {format_bytes(toolchain.installed_mib * MIB)}",
        why=" ".join((toolchain.purpose, *toolchain.notes)),
        action=action,
    )
