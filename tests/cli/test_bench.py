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
SMALL = ("-p", "8", "-n", "4", "-r", "2", "-t", "1")
pytestmark = pytest.mark.usefixtures("home")


async def test_a_measurement_is_a_markdown_table_and_stays_in_the_history() -> None:
    status, out, err = await edgetui("bench", MODEL, *SMALL)
    assert status == 0
    header, rule, prefill, decode = out.splitlines()
    assert header.startswith("| model") and set(rule) <= set("| -")
    assert "pp8" in prefill and "tg4" in decode and "+-" in decode
    assert "tok/s" in err
    status, out, _ = await edgetui("bench", "--history", "--json")
    newest, oldest = json.loads(out)
    assert status == 0 and (newest["name"], oldest["name"]) == ("tg4", "pp8")
    assert newest["avg_ts"] == pytest.approx(sum(newest["samples_ts"]) / 2)
    assert newest["machine"]["cpu"]


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        ([], 2, "Name a model"),
        ([MODEL, "-r", "0"], 2, "repetitions"),
        ([MODEL, "--kv", "q9"], 2, "kv-cache-type"),
        ([MODEL, "-p", "0", "-n", "0"], 2, "nothing to measure"),
        ([MODEL, "nonsense"], 1, "nonsense"),
    ],
)
async def test_a_wrong_request_is_one_sentence_and_a_status(arguments: list[str], status: int, sentence: str) -> None:
    got, out, err = await edgetui("bench", *arguments)
    assert (got, out) == (status, "")
    assert sentence in err and "Traceback" not in err and err.count("\n") == 1


@pytest.mark.parametrize("arguments", [["nope"], ["--history", "nope"]])
async def test_a_model_that_nobody_knows_is_named(arguments: list[str]) -> None:
    status, out, err = await edgetui("bench", *arguments)
    assert (status, out) == (1, "") and "nope" in err and err.count("\n") == 1


async def test_a_damaged_model_stops_the_command_before_any_is_measured(home: Path) -> None:
    broken = home / "broken.gguf"
    broken.write_text("not a model")
    status, out, err = await edgetui("bench", MODEL, str(broken), *SMALL)
    assert (status, out) == (1, "") and "broken.gguf" in err and "tok/s" not in err


async def interrupted_after(*arguments: str, line: str) -> tuple[int | None, str, str]:
    """Press Ctrl-C once `line` stands in the progress; gives exit status, stdout and the rest of stderr."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "edgetui", "bench", MODEL, *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    while line.encode() not in (read := await process.stderr.readline()):
        assert read, "it ended before it could be interrupted"
    os.kill(process.pid, signal.SIGINT)
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_ctrl_c_cancels_the_job() -> None:
    status, out, err = await interrupted_after("-p", "0", "-n", "2000", "-t", "1", line=MODEL)
    assert (status, out) == (130, "") and "Traceback" not in err
    _, listed, _ = await edgetui("jobs", "list", "--json")
    assert [job["state"] for job in json.loads(listed)] == ["cancelled"]


async def test_ctrl_c_prints_the_rows_that_are_complete() -> None:
    status, out, _ = await interrupted_after("-p", "8", "-n", "100", "-r", "100", "-t", "1", line="tg100")
    assert status == 130
    assert "pp8" in out and "tg100" not in out
