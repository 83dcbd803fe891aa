"""A conversation in a terminal, and what becomes of it when processes die."""

from __future__ import annotations

import os
import re
import signal
from typing import TYPE_CHECKING

import psutil

from tests.e2e.conftest import DEMO, OpenTerminal, processes_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.terminal import Terminal

ENDLESS = """\
[load]
threads = 1
context_tokens = 4096

[sampling]
ignore_eos = true
"""
"""An answer that is still under way whenever a test looks."""


def tokens_shown(text: str) -> int:
    """The figure beside TOKENS; 0 before there is one."""
    found = re.search(r"TOKENS +(\d+)", text)
    return int(found[1]) if found else 0


def sentences(text: str) -> str:
    """The screen as running text, however its lines were broken."""
    return " ".join(text.split())


def start_answer(home: Path, open_terminal: OpenTerminal) -> tuple[Terminal, psutil.Process]:
    """The app with an answer streaming, and the worker that makes it."""
    (home / "settings.toml").write_text(ENDLESS)
    terminal = open_terminal("--model", DEMO)
    terminal.wait_for("KV F16")
    terminal.type("Count the waves.")
    terminal.press("enter")
    terminal.wait_for(lambda text: tokens_shown(text) >= 5)
    (worker,) = processes_of(home, "edgetui.worker.child")
    return terminal, worker


def test_quitting_in_mid_answer_leaves_no_process_and_the_terminal_as_it_was(
    home: Path, open_terminal: OpenTerminal
) -> None:
    terminal, worker = start_answer(home, open_terminal)
    terminal.press("ctrl+q")
    assert terminal.wait_for_exit() == 0
    assert psutil.wait_procs([worker], timeout=10)[1] == []
    assert processes_of(home) == []
    assert terminal.is_restored


def test_answer_grows_while_it_streams_and_stops_on_escape(home: Path, open_terminal: OpenTerminal) -> None:
    terminal, worker = start_answer(home, open_terminal)
    seen = tokens_shown(terminal.text)
    terminal.wait_for(lambda text: tokens_shown(text) > seen)
    terminal.press("escape")
    terminal.wait_for("stopped")
    assert worker.is_running()


def test_killed_worker_is_one_sentence_and_the_next_prompt_works(home: Path, open_terminal: OpenTerminal) -> None:
    terminal, worker = start_answer(home, open_terminal)
    os.kill(worker.pid, signal.SIGKILL)
    terminal.wait_for(lambda text: "worker process was killed (SIGKILL)" in sentences(text))
    assert "Traceback" not in terminal.text
    terminal.type("And again.")
    terminal.press("enter")
    terminal.wait_for(lambda text: "And again." in text and tokens_shown(text) > 0 and "decoding" in text)
    terminal.press("ctrl+q")
    assert terminal.wait_for_exit() == 0
    assert terminal.is_restored


def test_worker_dies_with_a_killed_app(home: Path, open_terminal: OpenTerminal) -> None:
    terminal, worker = start_answer(home, open_terminal)
    terminal.process.kill()
    assert psutil.wait_procs([worker], timeout=10)[1] == []
