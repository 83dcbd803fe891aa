"""Checks of Python, the virtual environment and the terminal."""

from __future__ import annotations

import datetime
import os
import sys
from typing import NamedTuple

from edgetui.core.readiness import Check, CheckState
from edgetui.core.terminal import colour_count, draws_unicode

OLDEST_PYTHON = (3, 10)
GOOD_PYTHON = (3, 11)
NEWEST_TRIED_PYTHON = (3, 13)
_END_OF_LIFE = {(3, 10): (2026, 10), (3, 11): (2027, 10), (3, 12): (2028, 10), (3, 13): (2029, 10)}
"""Year and month in which python.org's last fixes come (PEP 619, 664, 693, 719)."""
_LEAST_COLUMNS, _LEAST_ROWS = 80, 24


class TerminalFacts(NamedTuple):
    """What this process's terminal is like."""

    size: tuple[int, int] | None
    """Columns and rows; None when no standard stream is a terminal."""
    term: str
    colours: int
    colour_is_wanted: bool
    unicode: bool


async def check_python() -> Check:
    """The interpreter that runs edgetui."""
    return python_line(sys.version_info[:3], datetime.date.today())


def python_line(version: tuple[int, int, int], today: datetime.date) -> Check:
    """The line for a version of Python on a day."""
    release = version[:2]
    state: CheckState = "ok"
    note = action = ""
    end = _END_OF_LIFE.get(release)
    if release < OLDEST_PYTHON:
        state, note = "fail", " (too old)"
    elif end is not None and (today.year, today.month) > end:
        state, note = "warn", f" (no fixes since {end[0]}-{end[1]:02d})"
    elif release < GOOD_PYTHON:
        state, note = "warn", " (3.11 is faster)"
    elif release > NEWEST_TRIED_PYTHON:
        state, note = "warn", " (newer than edgetui was tried with)"
    if state != "ok":
        action = "Install Python 3.12, then: make clean && make run PYTHON=python3.12"
    return Check(
        key="python",
        title="Python",
        state=state,
        found=f"{'.'.join(map(str, version))}{note}",
        needed="3.10 or newer, 3.11 recommended",
        why="Older releases lack what edgetui is written in, and get no security fixes.",
        action=action,
    )


async def check_virtual_environment() -> Check:
    """Whether installing an engine can hurt the system's own packages."""
    found, inside = "none: packages go into the system's Python", sys.prefix != sys.base_prefix
    if inside:
        found = sys.prefix
    elif conda := os.environ.get("CONDA_PREFIX"):
        found, inside = f"conda, {conda}", True
    return Check(
        key="venv",
        title="Environment",
        state="ok" if inside else "warn",
        found=found,
        needed="a virtual environment",
        why="Engines bring many packages; in an environment of their own they disturb nothing else.",
        action="" if inside else "python3 -m venv ~/edgetui && ~/edgetui/bin/pip install edgetui",
    )


async def check_terminal() -> Check:
    """Size, colours, characters."""
    return terminal_line(terminal_facts())


def terminal_facts() -> TerminalFacts:
    """Of the first standard stream that is a terminal."""
    size: tuple[int, int] | None = None
    for stream in (sys.__stdout__, sys.__stdin__, sys.__stderr__):
        try:
            # As the kernel knows it; an environment's COLUMNS may be of another time.
            columns, rows = os.get_terminal_size(stream.fileno() if stream else -1)
            size = columns, rows
            break
        except (OSError, ValueError):
            continue
    return TerminalFacts(
        size=size,
        term=os.environ.get("TERM", ""),
        colours=colour_count(),
        colour_is_wanted=not os.environ.get("NO_COLOR"),
        unicode=draws_unicode(),
    )


def terminal_line(facts: TerminalFacts) -> Check:
    """The line for a terminal."""
    needed = f"{_LEAST_COLUMNS}x{_LEAST_ROWS} or larger, UTF-8, 16 colours or more"
    why = "edgetui works in less, but cuts text, draws charts in ASCII and marks states by words alone."
    if facts.size is None:
        return Check(
            key="terminal",
            title="Terminal",
            state="skip",
            found="not looked at: neither input nor output is a terminal",
            needed=needed,
            why=why,
        )
    columns, rows = facts.size
    problems: list[str] = []
    if columns < _LEAST_COLUMNS or rows < _LEAST_ROWS:
        problems.append(f"Enlarge the window to {_LEAST_COLUMNS}x{_LEAST_ROWS}.")
    if not facts.unicode:
        problems.append("Choose a UTF-8 locale: export LC_ALL=C.UTF-8")
    if not facts.colours and facts.colour_is_wanted:
        problems.append("Tell the kind of terminal: export TERM=xterm-256color")
    colours = {0: "no colour", 1 << 24: "16 million colours"}.get(facts.colours, f"{facts.colours} colours")
    if not facts.colour_is_wanted:
        colours = "colour switched off by NO_COLOR"
    characters = "UTF-8" if facts.unicode else "a locale without UTF-8"
    return Check(
        key="terminal",
        title="Terminal",
        state="warn" if problems else "ok",
        found=f"{columns}x{rows}, {characters}, {colours} (TERM={facts.term or 'not set'})",
        needed=needed,
        why=why,
        action=" ".join(problems),
    )
