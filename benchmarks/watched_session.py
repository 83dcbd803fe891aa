"""The running app in a pseudo-terminal of 80x24, its event loop watched, on the demo model or on a paced server."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from benchmarks.app_session import MODEL, SETTINGS
from tests.e2e.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

DEADLINE_S = 300.0
_SERVERS = '[[server]]\nname = "paced"\nurl = "{url}"\n'


class WatchedSession:
    """One app on Run with its model loaded."""

    def __init__(self, terminal: Terminal, finished: Path, lateness: Path) -> None:
        self.terminal = terminal
        self._finished = finished
        self._lateness = lateness
        self._process = psutil.Process(terminal.process.pid)
        self._answers = 0

    def say(self, text: str = "Go on.") -> None:
        """Write a prompt and press enter."""
        self.terminal.type(text)
        self.terminal.press("enter")

    def is_answered(self) -> bool:
        """Whether the answer under way has ended, as the worker told it."""
        return self._finished.exists() and self._finished.read_bytes().count(b"\n") > self._answers

    def wait_for_answer(self) -> None:
        """Drained, not drawn: an emulator here would take what the app is measured with."""
        until = time.monotonic() + DEADLINE_S
        while not self.is_answered():
            self.terminal.drain(0.05)
            if time.monotonic() > until or self.terminal.process.poll() is not None:
                raise SystemExit("The app did not finish its answer: try `edgetui` by hand.")
        self._answers += 1

    def drain_for(self, seconds: float) -> None:
        """Let it settle."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.terminal.drain(0.02)

    def begin_watch(self) -> None:
        """Watch the event loop from now on."""
        self._lateness.unlink(missing_ok=True)
        os.kill(self.terminal.process.pid, signal.SIGUSR1)

    def end_watch(self) -> list[float]:
        """Seconds that each of many timers came late, in order."""
        os.kill(self.terminal.process.pid, signal.SIGUSR2)
        until = time.monotonic() + DEADLINE_S
        while time.monotonic() < until:
            self.terminal.drain(0.02)
            if self._lateness.exists() and (text := self._lateness.read_text()).endswith("]"):
                return [float(each) for each in json.loads(text)]
        raise SystemExit("The app did not tell how late its timers came.")

    def cpu_seconds(self) -> float:
        """Processor time of the UI process so far, user and system."""
        times = self._process.cpu_times()
        return float(times.user + times.system)

    def resident_bytes(self) -> int:
        """Memory of the UI process now."""
        return int(self._process.memory_info().rss)


@contextmanager
def watched_session(tokens: int, threads: int, url: str | None = None) -> Iterator[WatchedSession]:
    """Answers of so many tokens, by the demo model on so many threads, or by a server at `url`."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "settings.toml").write_text(SETTINGS.format(tokens=tokens, threads=threads))
        if url is not None:
            (home / "servers.toml").write_text(_SERVERS.format(url=url))
        finished, lateness = home / "finished.jsonl", home / "lateness.json"
        environment = {"EDGETUI_HOME": folder, "EDGETUI_RECORD": str(finished), "HF_HOME": f"{folder}/hub"}
        command = [sys.executable, "-m", "benchmarks.watched_app", str(lateness), MODEL if url is None else "paced"]
        terminal = Terminal(command, environment=environment, folder=Path(__file__).resolve().parent.parent)
        try:
            terminal.wait_for("ready")
            session = WatchedSession(terminal, finished, lateness)
            session.drain_for(1.0)
            yield session
            terminal.press("ctrl+q")
            terminal.wait_for_exit()
        finally:
            terminal.close()


def percentile(values: list[float], percent: float) -> float:
    """The smallest value that so many percent of all do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-len(ordered) * int(percent * 10) // 1000) - 1))]
