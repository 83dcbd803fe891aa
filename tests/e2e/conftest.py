"""The installed command in terminals of its own; whatever a test started ends with it."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import psutil
import pytest

from tests.e2e.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

EDGETUI = Path(sys.executable).with_name("edgetui")
DEMO = "SmolLM2-135M-Instruct.Q4_1"


class OpenTerminal(Protocol):
    """Starts `edgetui` with arguments in a new terminal."""

    def __call__(self, *arguments: str, columns: int = 80, rows: int = 24) -> Terminal: ...


@pytest.fixture
def open_terminal(home: Path) -> Iterator[OpenTerminal]:
    """`edgetui` in a terminal, over an empty home."""
    terminals: list[Terminal] = []

    def open_one(*arguments: str, columns: int = 80, rows: int = 24) -> Terminal:
        terminals.append(Terminal([EDGETUI, *arguments], columns=columns, rows=rows, folder=home))
        return terminals[-1]

    yield open_one
    for terminal in terminals:
        terminal.close()
    for process in processes_of(home):
        with suppress(psutil.NoSuchProcess):
            process.kill()


def processes_of(home: Path, module: str = "edgetui") -> list[psutil.Process]:
    """Living processes that work on this home, by what stands in their command line."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            ours = process.environ().get("EDGETUI_HOME") == str(home) and process.pid != os.getpid()
            if ours and process.status() != psutil.STATUS_ZOMBIE and module in " ".join(process.cmdline()):
                found.append(process)
    return found
