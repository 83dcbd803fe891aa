"""What edgetui costs while a person only looks at the Hardware screen: processor time and resident memory."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import psutil

from benchmarks.machine import warn_when_busy
from benchmarks.report import Result, show
from tests.e2e.terminal import Terminal

EDGETUI = Path(sys.executable).with_name("edgetui")
SETTLE_S = 5.0
WATCHED_S = 30.0
CPU_BAR_PERCENT = 1.5
MEMORY_BAR_MIB = 80.0


def measure() -> list[Result]:
    """Watch an untouched app for a while; its children count too."""
    warn_when_busy()
    with tempfile.TemporaryDirectory() as folder:
        terminal = Terminal([EDGETUI], environment={"EDGETUI_HOME": folder, "HF_HOME": f"{folder}/hub"})
        try:
            terminal.wait_for("[1 Hardware]")
            read_for(terminal, SETTLE_S)
            before = cost(terminal.process.pid)[0]
            read_for(terminal, WATCHED_S)
            after, resident_bytes = cost(terminal.process.pid)
            terminal.press("ctrl+q")
            terminal.wait_for_exit()
        finally:
            terminal.close()
    setting = f"{WATCHED_S:.0f} s on the Hardware screen at 80x24, all processes of edgetui"
    return [
        Result(
            "idle processor time",
            (after - before) / WATCHED_S * 100,
            "% of a core",
            CPU_BAR_PERCENT,
            "lower",
            (setting,),
        ),
        Result("idle resident memory", resident_bytes / 1024**2, "MiB", MEMORY_BAR_MIB, "lower", (setting,)),
    ]


def cost(pid: int) -> tuple[float, int]:
    """Processor seconds and resident bytes of a process and its children."""
    process = psutil.Process(pid)
    family = [process, *process.children(recursive=True)]
    times = [member.cpu_times() for member in family]
    return sum(t.user + t.system for t in times), sum(member.memory_info().rss for member in family)


def read_for(terminal: Terminal, seconds: float) -> None:
    """Take in what the app draws, as a terminal does."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        terminal.read(0.1)


if __name__ == "__main__":
    sys.exit(show(measure()))
