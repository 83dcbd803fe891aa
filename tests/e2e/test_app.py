"""The app in a terminal: every mode by its key, every size of the window, and a clean end."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import psutil
import pytest

from edgetui.core.units import format_bytes
from tests.e2e.conftest import DEMO

if TYPE_CHECKING:
    from tests.e2e.conftest import OpenTerminal

MODES = ("Hardware", "Models", "Quantize", "Run", "Bench", "Jobs", "Readiness")


def test_every_mode_opens_by_its_number_and_quitting_restores_the_terminal(open_terminal: OpenTerminal) -> None:
    terminal = open_terminal()
    terminal.wait_for("[1 Hardware]")
    terminal.wait_for(format_bytes(psutil.virtual_memory().total))
    terminal.press("2")
    terminal.wait_for(DEMO)
    for key, mode in enumerate(MODES, start=1):
        terminal.press(str(key))
        terminal.wait_for(f"[{key} {mode}]")
        if mode == "Run":
            # Its prompt takes digits; escape leaves it, and help is on one key again.
            terminal.wait_for("f12 Help")
            terminal.press("escape")
            terminal.wait_for("? Help")
    terminal.press("ctrl+q")
    assert terminal.wait_for_exit() == 0
    assert terminal.is_restored


def test_function_keys_change_the_mode_while_a_prompt_is_typed(open_terminal: OpenTerminal) -> None:
    terminal = open_terminal()
    terminal.wait_for("[1 Hardware]")
    terminal.press("4")
    terminal.wait_for("[4 Run]")
    terminal.type("7 words 2 say")
    terminal.wait_for("7 words 2 say")
    terminal.press("f1")
    terminal.wait_for("[1 Hardware]")


def test_window_shrunk_below_anything_useful_and_grown_again_shows_every_mode(open_terminal: OpenTerminal) -> None:
    terminal = open_terminal(columns=120, rows=40)
    terminal.wait_for("[1 Hardware]")
    for key in range(1, len(MODES) + 1):
        terminal.press(f"f{key}")
        terminal.wait_for(f"[{key} {MODES[key - 1]}]")
        for columns, rows in ((40, 12), (20, 5), (80, 24)):
            terminal.resize(columns, rows)
            terminal.wait_for(f"[{key}")
        terminal.wait_for(f"[{key} {MODES[key - 1]}]")
    terminal.press("ctrl+q")
    assert terminal.wait_for_exit() == 0


def test_window_dragged_to_many_sizes_at_once_is_drawn_at_its_last_one(open_terminal: OpenTerminal) -> None:
    terminal = open_terminal()
    terminal.wait_for("[1 Hardware]")
    terminal.press("2")
    terminal.wait_for(DEMO)
    for step in range(120):
        terminal.resize(120 - step % 60, 40 - step % 30)
        terminal.read(0.005)
    terminal.resize(100, 30)
    terminal.wait_for("[2 Models]")
    terminal.press("3")
    terminal.wait_for("[3 Quantize]")
    terminal.press("ctrl+p")
    terminal.wait_for("Search")
    for step in range(120):
        terminal.resize(120 - step % 60, 40 - step % 30)
        terminal.read(0.005)
    terminal.resize(80, 24)
    terminal.press("escape")
    terminal.wait_for("[3 Quantize]")


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_signal_that_asks_to_end_restores_the_terminal(open_terminal: OpenTerminal, ending: signal.Signals) -> None:
    terminal = open_terminal()
    terminal.wait_for("[1 Hardware]")
    terminal.process.send_signal(ending)
    terminal.wait_for_exit()
    assert terminal.is_restored
    assert "Traceback" not in terminal.text
