"""A quantization started in the app: closing the terminal changes nothing for it."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import psutil

from tests.e2e.conftest import DEMO, processes_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.conftest import OpenTerminal
    from tests.e2e.terminal import Terminal

MADE = "SmolLM2-135M-Instruct.Q4_K_M"


def start_job(home: Path, open_terminal: OpenTerminal) -> tuple[Terminal, psutil.Process]:
    """The app with a quantization to its usual type under way, and the job's process, held still in mid-run."""
    terminal = open_terminal()
    terminal.wait_for("[1 Hardware]")
    terminal.press("2")
    terminal.wait_for(DEMO)
    terminal.press("q")
    terminal.wait_for(f"makes {MADE}.gguf")
    terminal.press("enter")
    terminal.wait_for("Quantize it all the same?")
    terminal.press("y")
    terminal.wait_for(lambda _: len(processes_of(home, "edgetui.worker.job")) == 1)
    (job,) = processes_of(home, "edgetui.worker.job")
    job.suspend()
    return terminal, job


def test_job_outlives_its_terminal_and_the_next_app_finds_it_and_what_it_made(
    home: Path, open_terminal: OpenTerminal
) -> None:
    terminal, job = start_job(home, open_terminal)
    terminal.hang_up()
    terminal.wait_for_exit()
    assert job.is_running()

    reopened = open_terminal()
    reopened.wait_for("1 job")
    reopened.press("6")
    reopened.wait_for(lambda text: "running" in text and "Q4_K_M" in text)
    job.resume()
    reopened.wait_for(lambda text: "done" in text and "is made" in text)
    reopened.press("2")
    reopened.wait_for(MADE)
    reopened.press("ctrl+q")
    assert reopened.wait_for_exit() == 0
    assert [path.name for path in (home / "data" / "models").iterdir()] == [f"{MADE}.gguf"]


def test_killed_job_is_found_interrupted_and_leaves_no_partial_file(home: Path, open_terminal: OpenTerminal) -> None:
    terminal, job = start_job(home, open_terminal)
    job.send_signal(signal.SIGKILL)
    terminal.press("6")
    terminal.wait_for("interrupted")
    assert list((home / "data").rglob("*.part")) == []
    terminal.press("ctrl+q")
    assert terminal.wait_for_exit() == 0
