"""Asking installed commands for their version, and the command that installs a missing one here."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMAND_LIMIT_S = 10.0
INSTALLERS = {
    "apt-get": "sudo apt-get install",
    "dnf": "sudo dnf install",
    "pacman": "sudo pacman -S",
    "zypper": "sudo zypper install",
    "apk": "sudo apk add",
    "brew": "brew install",
    "winget": "winget install",
}


def install_command(packages: dict[str, str]) -> str:
    """The command that installs a package here, by whichever package manager there is."""
    for manager, command in INSTALLERS.items():
        if manager in packages and shutil.which(manager):
            return f"{command} {packages[manager]}"
    return "Install it with this system's package manager."


async def answer_of(path: str, *arguments: str) -> tuple[tuple[str, ...], str]:
    """Lines that a command prints, or why it gives none; a command that is there and does not run is none."""
    shown = shlex.join([path, *arguments])
    try:
        process = await asyncio.create_subprocess_exec(
            path,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, "LC_ALL": "C"},
        )
    except OSError as error:
        return (), f"{shown} does not start: {error.strerror}"
    try:
        output, _ = await asyncio.wait_for(process.communicate(), COMMAND_LIMIT_S)
    except asyncio.TimeoutError:
        return (), f"{shown} does not answer"
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    lines = tuple(line.strip() for line in output.decode("utf-8", "replace").splitlines() if line.strip())
    if process.returncode or not lines:
        return (), f"{shown} fails: {lines[0] if lines else 'it says nothing'}"
    return lines, ""


def first_on_path(names: Sequence[str]) -> str | None:
    """The first of these commands that is there."""
    return next((path for name in names if (path := shutil.which(name))), None)
