"""Time from starting edgetui to its first painted frame, over that of a one-label Textual app.

Both run in a pseudo-terminal of 80x24, in turn; the clock starts before the process does.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.machine import warn_when_busy
from benchmarks.report import Result, show
from tests.e2e.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Mapping

ROUNDS = 15
BAR = 1.3
EDGETUI = Path(sys.executable).with_name("edgetui")
LABEL_APP = Path(__file__).with_name("label_app.py")


def measure() -> list[Result]:
    """Alternate the two apps; the ratio is of medians."""
    warn_when_busy()
    label: list[float] = []
    edgetui: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        environment = {"EDGETUI_HOME": folder, "HF_HOME": f"{folder}/hub"}
        # The first start of each writes byte code and fills the system's file cache.
        for _ in range(ROUNDS + 1):
            label.append(time_to_frame([sys.executable, LABEL_APP], "first frame", environment, "q"))
            edgetui.append(time_to_frame([EDGETUI], "[1 Hardware]", environment, "ctrl+q"))
    label, edgetui = label[1:], edgetui[1:]
    ratio = statistics.median(edgetui) / statistics.median(label)
    return [
        Result(
            "time to first frame over a one-label Textual app",
            ratio,
            "",
            BAR,
            "lower",
            (
                f"{ROUNDS} rounds in turn, 80x24",
                f"edgetui {summary(edgetui)}",
                f"one label {summary(label)}",
            ),
        )
    ]


def time_to_frame(command: list[str | Path], sign: str, environment: Mapping[str, str], quit_key: str) -> float:
    """Seconds until `sign` stands on the screen."""
    started = time.perf_counter()
    terminal = Terminal(command, environment=environment)
    try:
        while sign.encode() not in terminal.output:
            if not terminal.read(10) and terminal.process.poll() is not None:
                raise SystemExit(f"{command[-1]} ended before its first frame:\n{terminal.text}")
        elapsed = time.perf_counter() - started
        terminal.press(quit_key)
        terminal.wait_for_exit()
    finally:
        terminal.close()
    return elapsed


def summary(seconds: list[float]) -> str:
    """`median 312 ms (301 to 340)`."""
    return f"median {statistics.median(seconds) * 1e3:.0f} ms ({min(seconds) * 1e3:.0f} to {max(seconds) * 1e3:.0f})"


if __name__ == "__main__":
    os.environ.setdefault("TERM", "xterm-256color")
    sys.exit(show(measure()))
