"""A search on the Hub screen: from the server's answer to the first row on the terminal.

The hub answers with a full page of a hundred rows, as the real one does; app and hub run in processes of their own.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time

from benchmarks.first_frame import EDGETUI
from benchmarks.machine import warn_when_busy
from benchmarks.report import Result, show
from tests.e2e.terminal import Terminal
from tests.hub.content import Repo
from tests.hub.server import LoopbackHub

ROUNDS, ROWS = 9, 120
BAR_MS = 150.0


def measure() -> list[Result]:
    """One search after another in one app; the median and the slowest are told."""
    warn_when_busy()
    with LoopbackHub() as hub, tempfile.TemporaryDirectory() as folder:
        for number in range(ROUNDS * ROWS):
            told = {"total": 10**9, "architecture": "llama"}
            name = f"maker/round{number // ROWS}x-model-{number % ROWS:03d}-GGUF"
            hub.add(Repo(name, tags=("gguf", "license:mit"), gguf=told, trending=ROWS - number % ROWS))
        for number in range(ROWS):
            # What is listed before the first search.
            hub.add(Repo(f"maker/other-{number:03d}-GGUF", tags=("gguf",), trending=10_000))
        environ = {"EDGETUI_HOME": folder, "HF_HOME": f"{folder}/hub", "HF_ENDPOINT": hub.endpoint}
        terminal = Terminal([EDGETUI], environment=environ)
        try:
            terminal.wait_for("[1 Hardware]")
            terminal.press("9")
            terminal.wait_for("maker/other-000")
            times = [_search(terminal, hub, number) for number in range(ROUNDS)]
            terminal.press("ctrl+q")
            terminal.wait_for_exit()
        finally:
            terminal.close()
    lines = (
        f"{ROUNDS} searches of {ROWS} models each, 100 a page, 80x24",
        f"median {statistics.median(times):.0f} ms ({min(times):.0f} to {max(times):.0f})",
    )
    return [
        Result(
            "first row of a search after the server's answer", statistics.median(times), "ms", BAR_MS, "lower", lines
        )
    ]


def _search(terminal: Terminal, hub: LoopbackHub, number: int) -> float:
    """Milliseconds."""
    terminal.press("/")
    terminal.wait_for("enter goes to the list")
    before = len(terminal.output)
    terminal.type(f"round{number}x")
    sign = f"maker/round{number}x-model-000".encode()
    while sign not in terminal.output[before:]:
        if not terminal.read(10) and terminal.process.poll() is not None:
            raise SystemExit(f"The app ended during a search:\n{terminal.text}")
    painted = time.perf_counter()
    answered = max(seen.answered_at for seen in hub.requests if f"search=round{number}x" in seen.path)
    terminal.press("escape")
    terminal.wait_for("maker/other-000")
    return (painted - answered) * 1e3


if __name__ == "__main__":
    os.environ.setdefault("TERM", "xterm-256color")
    sys.exit(show(measure()))
