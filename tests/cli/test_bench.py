from __future__ import annotations

import asyncio
import json
import os
import signal
import sys

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


async def test_ctrl_c_cancels_the_job() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "edgetui",
        "bench",
        MODEL,
        "-p",
        "0",
        "-n",
        "2000",
        "-t",
        "1",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    await process.stderr.readline()
    os.kill(process.pid, signal.SIGINT)
    _, err = await process.communicate()
    assert process.returncode == 130 and b"Traceback" not in err
    _, listed, _ = await edgetui("jobs", "list", "--json")
    assert [job["state"] for job in json.loads(listed)] == ["cancelled"]
