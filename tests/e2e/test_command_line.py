"""The commands as scripts use them: what goes to which stream, and with which status."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import TYPE_CHECKING

import msgspec
import pytest

from edgetui import __version__
from tests.e2e.conftest import DEMO, EDGETUI, processes_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.conftest import OpenTerminal

pytestmark = pytest.mark.usefixtures("home")


def edgetui(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run([EDGETUI, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True)


def test_version_is_told() -> None:
    assert edgetui("--version").stdout == f"edgetui {__version__}\n"


@pytest.mark.parametrize("command", ["hw", "models", "jobs", "doctor"])
def test_json_is_all_that_stdout_holds(command: str) -> None:
    answer = edgetui(command, "--json")
    assert msgspec.json.decode(answer.stdout) is not None
    assert "Traceback" not in answer.stderr


def test_answer_streams_to_stdout_before_it_is_complete(home: Path) -> None:
    (home / "settings.toml").write_text("[sampling]\nignore_eos = true\n")
    with subprocess.Popen(
        [EDGETUI, "run", DEMO, "Count the waves.", "-t", "1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        assert os.read(process.stdout.fileno(), 65536)
        (worker,) = processes_of(home, "edgetui.worker.child")
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
        assert b"Traceback" not in process.stderr.read()
    assert not worker.is_running()


def test_unknown_model_is_status_1_and_names_the_closest() -> None:
    answer = edgetui("run", "SmolLM2-135M-Instruct.Q4_2", "hello")
    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr.startswith("edgetui: ") and DEMO in answer.stderr


@pytest.mark.parametrize("arguments", [("nonsense",), ("run",), ("models", "--nonsense")])
def test_wrong_usage_is_status_2(arguments: tuple[str, ...]) -> None:
    answer = edgetui(*arguments)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr and "Traceback" not in answer.stderr


def test_app_without_a_terminal_says_that_it_needs_one() -> None:
    answer = edgetui()
    assert answer.returncode == 2
    assert answer.stderr.startswith("edgetui: ") and answer.stderr.count("\n") == 1


def test_whole_path_from_the_demo_model_to_a_small_one_and_its_bench(home: Path, open_terminal: OpenTerminal) -> None:
    made_f16 = edgetui("quantize", DEMO, "F16", "--yes")
    assert made_f16.returncode == 0, made_f16.stderr
    made_small = edgetui("quantize", "SmolLM2-135M-Instruct.F16", "Q4_K_M")
    assert made_small.returncode == 0, made_small.stderr
    small = home / "data" / "models" / "SmolLM2-135M-Instruct.Q4_K_M.gguf"
    assert made_small.stdout == f"{small}\n"
    answer = edgetui("run", small.stem, "Say hello.", "-n", "4", "--ignore-eos", "-t", "1")
    assert answer.returncode == 0 and answer.stdout.strip()
    measured = edgetui("bench", DEMO, small.stem, "-p", "8", "-n", "4", "-r", "1", "-t", "1", "--json")
    assert measured.returncode == 0, measured.stderr
    rows = msgspec.json.decode(measured.stdout)
    assert {(row["model_name"], row["name"]) for row in rows} >= {(DEMO, "tg4"), (small.stem, "pp8")}
    terminal = open_terminal(columns=120, rows=30)
    terminal.wait_for("[1 Hardware]")
    terminal.press("2")
    terminal.wait_for(small.stem)
