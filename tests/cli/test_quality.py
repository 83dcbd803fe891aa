"""`edgetui quality` as a script runs it."""

from __future__ import annotations

import json
from contextlib import aclosing
from pathlib import Path

import pytest

from edgetui.services.lab import Lab
from edgetui.worker.job_events import JobSucceeded
from tests.cli.command import edgetui

MODEL = "SmolLM2-135M-Instruct.Q4_1"
SMALL = ("--context", "32", "--chunks", "1", "-t", "1", "--no-tasks")
pytestmark = pytest.mark.usefixtures("home")


async def test_figures_are_printed_and_stay_in_the_history() -> None:
    status, out, err = await edgetui("quality", MODEL, *SMALL)
    assert status == 0 and "Perplexity" in out and "+/-" in out and "1 chunk of 32 tokens, 15 scored" in out
    assert "Nothing here is known to be the unquantized parent" in err
    status, out, _ = await edgetui("quality", "--history", "--json")
    (row,) = json.loads(out)
    assert status == 0 and row["perplexity"]["value"] > 1 and row["divergence"] is None and row["job"]
    status, out, err = await edgetui("quality", "nope", "--history")
    assert (status, out) == (1, "") and "Nothing has been measured of nope" in err


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        ([], 2, "Name a model"),
        ([MODEL, "--context", "4"], 2, "The value for context"),
        ([MODEL, "--chunks", "-1"], 2, "The value for chunks"),
        ([MODEL, "--context", "9000"], 2, "trained for 8192"),
        ([MODEL, "--base", "nope"], 1, "nope"),
        ([MODEL, "--text", "/gone.txt"], 1, "/gone.txt"),
        (["nope"], 1, "nope"),
    ],
)
async def test_a_wrong_request_is_one_sentence_and_a_status(arguments: list[str], status: int, sentence: str) -> None:
    got, out, err = await edgetui("quality", *arguments)
    told = [line for line in err.splitlines() if "unquantized parent of" not in line]
    assert (got, out) == (status, "") and len(told) == 1 and sentence in told[0]


async def test_a_detached_measurement_prints_its_job(home: Path) -> None:
    status, out, _ = await edgetui("quality", MODEL, *SMALL, "--base", "none", "--detach")
    assert status == 0 and (home / "state" / "jobs" / out.strip()).is_dir()
    lab = Lab()
    async with aclosing(lab.jobs.watch(out.strip())) as events:
        last = [event async for event in events][-1]
    await lab.close()
    assert isinstance(last, JobSucceeded)
