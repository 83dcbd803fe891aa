"""Checks of what edgetui stands on: the operating system against the course's list, and the processor's kind."""

from __future__ import annotations

import asyncio
import platform
import re
import sys
from pathlib import Path
from typing import NamedTuple

from edgetui.core.readiness import Check, CheckState

_NEEDED = "Ubuntu 20.04, macOS 10.15, Windows 10 or newer"
OLDEST_UBUNTU = (20, 4)
OLDEST_MACOS = (10, 15)
OLDEST_WINDOWS = 10
UBUNTU_GLIBC = (2, 31)
"""Of Ubuntu 20.04: wheels that run there run on every Linux with this C library or a newer one."""
_GOOD_MACHINES = {"x86_64": "x86-64", "amd64": "x86-64", "aarch64": "ARM, 64 bits", "arm64": "ARM, 64 bits"}


class SystemFacts(NamedTuple):
    """What tells one system from another; empty where it does not apply."""

    kind: str
    """As `platform.system()`: Linux, Darwin, Windows."""
    release: str
    """Of Windows and macOS."""
    os_release: dict[str, str]
    """Keys of Linux's /etc/os-release."""
    glibc: str
    """Version of GNU's C library."""


async def check_operating_system() -> Check:
    """This system against the course's list."""
    return system_line(await asyncio.to_thread(_facts))


def system_line(facts: SystemFacts) -> Check:
    """The line for a system."""
    state: CheckState = "ok"
    action = ""
    if facts.kind == "Linux":
        state, found, action = _linux(facts)
    elif facts.kind == "Darwin":
        found = f"macOS {facts.release}"
        state = "ok" if _version(facts.release) >= OLDEST_MACOS else "fail"
        action = "" if state == "ok" else "softwareupdate --install --all"
    elif facts.kind == "Windows":
        found = f"Windows {facts.release}"
        number = _version(facts.release)
        # Servers are named by their year, and 2016 stands on Windows 10.
        state = "ok" if number and (OLDEST_WINDOWS <= number[0] < 100 or number[0] >= 2016) else "fail"
        action = "" if state == "ok" else "Update to Windows 10 or 11."
    else:
        found, state = facts.kind or "a system without a name", "warn"
        action = "Nothing mends this: no engine publishes packages for it."
    return Check(
        key="system",
        title="System",
        state=state,
        found=found,
        needed=_NEEDED,
        why="The engines' packages are built for these, and the course was tried on them.",
        action=action,
    )


def _linux(facts: SystemFacts) -> tuple[CheckState, str, str]:
    name = facts.os_release.get("PRETTY_NAME") or facts.os_release.get("ID") or "Linux of unknown make"
    if facts.os_release.get("ID") == "ubuntu":
        if _version(facts.os_release.get("VERSION_ID", "")) >= OLDEST_UBUNTU:
            return "ok", name, ""
        return "fail", f"{name}: too old", "sudo do-release-upgrade"
    glibc = _version(facts.glibc)
    if not glibc:
        return (
            "warn",
            f"{name}: not on the course's list, and its C library is not GNU's",
            "ONNX Runtime publishes nothing for it; llama.cpp is built from source. Else use a container of Ubuntu.",
        )
    if glibc < UBUNTU_GLIBC:
        return "fail", f"{name}: glibc {facts.glibc} is older than Ubuntu 20.04's 2.31", "Update this system."
    return "ok", f"{name}: not on the course's list, glibc {facts.glibc} is as good as Ubuntu 20.04's 2.31", ""


async def check_architecture() -> Check:
    """ARM or x86-64, and a Python of the same width."""
    return architecture_line(platform.machine(), python_is_64_bit=sys.maxsize > 2**32)


def architecture_line(machine: str, *, python_is_64_bit: bool) -> Check:
    """The line for a machine's name as the system writes it."""
    name = _GOOD_MACHINES.get(machine.lower())
    state: CheckState = "ok"
    found, action = name or machine or "not told", ""
    if name is None:
        state = "warn"
        action = "Use a 64-bit system if the processor has 64 bits; ONNX Runtime publishes nothing for this one."
    elif not python_is_64_bit:
        state, found = "warn", f"{name}, but this Python has 32 bits"
        action = "Install a 64-bit Python: with 32 bits no model above 3 GiB can be loaded."
    return Check(
        key="architecture",
        title="Architecture",
        state=state,
        found=found,
        needed="x86-64 or 64-bit ARM",
        why="Engines publish packages for these, and their kernels are written for their vector instructions.",
        action=action,
    )


def _facts() -> SystemFacts:
    kind = platform.system()
    release = platform.mac_ver()[0] if kind == "Darwin" else platform.release()
    found: dict[str, str] = {}
    if kind == "Linux":
        try:
            text = Path("/etc/os-release").read_text(encoding="utf-8", errors="replace")
        except OSError:
            text = ""
        pairs = (line.partition("=") for line in text.splitlines())
        found = {key.strip(): value.strip().strip("\"'") for key, mark, value in pairs if mark}
    return SystemFacts(kind, release, found, platform.libc_ver()[1] if kind == "Linux" else "")


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text)[:2])
