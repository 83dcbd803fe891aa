"""`edgetui run` as the installed command, on the real model."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest

from tests.cli.command import edgetui

MODEL = "SmolLM2-135M-Instruct.Q4_1"
pytestmark = pytest.mark.usefixtures("home")


async def test_an_answer_goes_to_stdout_and_its_figures_to_stderr() -> None:
    status, out, err = await edgetui("run", MODEL, "Say hello.", "-n", "8", "--seed", "1")
    assert status == 0 and out.strip()
    assert "tok/s" in err and "TTFT" in err and "seed 1" in err
    assert "tok/s" not in out


async def test_json_holds_text_and_figures() -> None:
    status, out, err = await edgetui(
        "run", MODEL, "Once upon a time", "--raw", "-n", "8", "--temperature", "0", "--ignore-eos", "--json"
    )
    assert (status, err) == (0, "")
    answer = json.loads(out)
    assert answer["model"] == MODEL and answer["text"]
    assert answer["generated_tokens"] == 8 and answer["reason"] == "max_tokens"
    assert answer["decode_tps"] == pytest.approx(7 / answer["decode_s"])
    assert answer["prefill_tps"] == pytest.approx(answer["prefill_tokens"] / answer["prefill_s"])


async def test_the_prompt_can_come_from_a_pipe() -> None:
    status, out, _ = await edgetui("run", MODEL, "-", "-n", "3", "-q", stdin="Grüße".encode())
    assert status == 0 and out.strip()


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (["run", "SmolLM2-135M-Instruct.Q4_2", "x"], 1, MODEL),
        (["run", MODEL, "x", "--temperature", "-1"], 2, "temperature"),
        (["run", MODEL, "x", "--kv", "q9"], 2, "--kv cannot be used"),
        (["run", MODEL, "x", "-t", "999"], 2, "far too many"),
        (["run", MODEL, "x", "--context", "16000000"], 1, "smaller context"),
        (["run", MODEL, " "], 2, "prompt is empty"),
        (["run", MODEL, "", "--raw"], 2, "prompt is empty"),
    ],
)
async def test_a_wrong_request_is_one_sentence_and_a_status(arguments: list[str], status: int, sentence: str) -> None:
    got, _, err = await edgetui(*arguments, "-n", "1")
    assert got == status
    assert "Traceback" not in err
    if status:
        assert err.startswith("edgetui: ") and err.count("\n") == 1
    assert sentence in err


async def test_ctrl_c_ends_the_answer_and_keeps_what_was_written(home: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "edgetui",
        "run",
        MODEL,
        "Once",
        "--raw",
        "--ignore-eos",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    first = await process.stdout.read(1)
    os.kill(process.pid, signal.SIGINT)
    out, err = await process.communicate()
    assert process.returncode == 130
    assert first + out and b"stopped" in err and b"Traceback" not in err
