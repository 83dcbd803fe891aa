"""The Run screen on a terminal that does not keep up."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from tests.e2e.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SETTINGS = """\
frames_per_second = 30

[load]
threads = 1
context_tokens = 1024

[sampling]
seed = 5
max_tokens = 400
ignore_eos = true
"""


@pytest.fixture
def terminal(home: Path) -> Iterator[Terminal]:
    (home / "settings.toml").write_text(SETTINGS)
    os.mkfifo(home / "record")
    made = Terminal(
        [sys.executable, "-m", "edgetui", "--model", "SmolLM2-135M-Instruct.Q4_1"],
        environment={"EDGETUI_RECORD": str(home / "record")},
    )
    yield made
    made.close()


def test_a_terminal_that_stands_still_holds_up_neither_model_nor_app(home: Path, terminal: Terminal) -> None:
    terminal.wait_for("KV F16")
    terminal.type("Tell a story.")
    terminal.wait_for("Tell a story.")
    terminal.press("enter")
    # Nothing of the screen is read from here on; the answer comes to its end all the same, and is recorded.
    with (home / "record").open("rb") as record:
        assert b'"generated_tokens":400' in record.readline()
    # Then the terminal goes on, and shows the end.
    terminal.wait_for(lambda text: "ended at the limit of tokens" in text and "400" in text)
    terminal.press("ctrl+q")
    assert terminal.wait_for_exit() == 0
