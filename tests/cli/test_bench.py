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
        ([MODEL, "-t", "1,999"], 2, "far too many"),
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


async def test_ctrl_c_ends_a_soak_and_shows_what_it_has_measured() -> None:
    status, out, err = await interrupted_after("--soak", "10s", "-t", "1", line=" s left")
    assert status == 130 and "It was cancelled. What was measured in " in err and "Traceback" not in err
    head, first, *_, last = out.splitlines()
    assert head.split()[:3] == ["at", "s", "tok/s"] and float(first.split()[1]) > 0
    assert last.startswith("Cut short after ") and " of 10.0 s: it was cancelled." in last
    _, listed, _ = await edgetui("history", "studies")
    assert " of 10 s  " in listed and "Cut short after " in listed
    _, shown, _ = await edgetui("history", "studies", listed.split()[0])
    assert " --soak 10s -t 1\n" in shown and "\n# --- llama-bench\n" in shown


async def test_ctrl_c_cancels_the_job() -> None:
    status, out, err = await interrupted_after("-p", "0", "-n", "2000", "-t", "1", line=MODEL)
    assert (status, out) == (130, "") and "Traceback" not in err
    _, listed, _ = await edgetui("jobs", "list", "--json")
    assert [job["state"] for job in json.loads(listed)] == ["cancelled"]


async def test_ctrl_c_prints_the_rows_that_are_complete() -> None:
    status, out, _ = await interrupted_after("-p", "8", "-n", "100", "-r", "100", "-t", "1", line="tg100")
    assert status == 130
    assert "pp8" in out and "tg100" not in out


async def test_lists_are_measured_in_every_combination() -> None:
    options = ("-p", "4,8", "-n", "0", "-pg", "4,2", "-d", "0,4", "-r", "2", "-t", "1", "-fa", "0,1")
    status, out, err = await edgetui("bench", MODEL, *options, "--json")
    rows = json.loads(out)
    assert status == 0
    tests = ["pp4", "pp8", "pp4+tg2", "pp4 @ d4", "pp8 @ d4", "pp4+tg2 @ d4"]
    # However short they are, the last repetition of each is told.
    assert all(f"flash attention {flash}: {test} 2/2: " in err for flash in ("off", "on") for test in tests)
    assert [(row["flash_attention"], row["name"]) for row in rows] == [
        (flash, test) for flash in ("off", "on") for test in tests
    ]
    assert all(row["median_ts"] > 0 and row["mad_ts"] >= 0 and row["interval_share"] > 0 for row in rows)


async def test_repetitions_go_on_until_the_budget_ends() -> None:
    status, out, _ = await edgetui(
        *("bench", MODEL, "-p", "8", "-n", "0", "-r", "2", "-t", "1", "--until", "0.001%", "--budget", "1s", "--json")
    )
    (row,) = json.loads(out)
    assert status == 0 and row["stopped_by"] == "budget" and sum(row["samples_ns"]) >= 1e9


async def test_two_settings_by_turns_and_load_times_end_in_a_sentence() -> None:
    status, out, _ = await edgetui(
        *("bench", MODEL, "--ab", "--a", "fa=on", "--b", "fa=off", "-t", "1", "-p", "0", "-n", "2", "-r", "2")
    )
    first, second, verdict = out.splitlines()
    assert status == 0 and first.startswith("flash attention on: mean ") and "off: mean " in second
    assert "95 % interval" in verdict and "2 paired ABBA blocks" in verdict
    # Once more from its study and its rows: the same figures.
    status, out, _ = await edgetui("history", "studies", "1")
    assert status == 0 and verdict in out and all(f" {line.split()[4]}" in out for line in (first, second))
    status, out, _ = await edgetui("history", "compare", "1", "2")
    assert status == 0 and verdict in out and all(f" {line.split()[4]}" in out for line in (first, second))
    status, out, _ = await edgetui("bench", MODEL, "--load-time", "-r", "1", "-t", "1", "--json")
    assert status == 0 and json.loads(out)["warm"][0]["seconds"] > 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--ab"], "Both sides are the same"),
        (["--ab", MODEL, MODEL], "--ab compares two models"),
        (["--soak", "soon"], "--soak takes a duration"),
        (["--soak", "5s", "--ttft"], "one at a time"),
        (["--load-time", MODEL], "takes one model"),
        (["--sample", "5s"], "belongs to a soak"),
        (["--ttft", "-p", "0"], "longest prompt"),
        (["-t", "1,2", "-b", "0"], "batch-tokens"),
    ],
)
async def test_a_study_that_cannot_be_is_one_sentence(arguments: list[str], sentence: str) -> None:
    status, out, err = await edgetui("bench", MODEL, *arguments)
    assert (status, out) == (2, "") and sentence in err and err.count("\n") == 1


async def test_a_budget_that_is_no_time_is_refused_by_autotune() -> None:
    status, out, err = await edgetui("autotune", MODEL, "--budget", "1s")
    assert (status, out) == (2, "") and "budget-s" in err and err.count("\n") == 1
