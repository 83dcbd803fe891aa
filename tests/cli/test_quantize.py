"""`edgetui quantize` and `edgetui jobs` as the installed command, on the real model."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path

import pytest

from tests.cli.command import edgetui

MODEL = "SmolLM2-135M-Instruct.Q4_1"


async def test_a_model_is_made_and_its_path_printed(home: Path) -> None:
    status, out, err = await edgetui("quantize", MODEL, "q8_0", "--yes", "--threads", "1")
    made = home / "data/models/SmolLM2-135M-Instruct.Q8_0.gguf"
    assert status == 0 and out == f"{made}\n" and made.exists()
    assert "loses quality" in err and "tensors" in err and "is made: 138 MiB" in err
    status, out, err = await edgetui("quantize", MODEL, "Q8_0", "--yes")
    assert status == 1 and out == "" and "is already there" in err.splitlines()[-1]
    status, out, _ = await edgetui("jobs")
    assert status == 0 and "+ done" in out and "to Q8_0" in out


async def test_a_quantized_source_needs_the_yes_option(home: Path) -> None:
    status, out, err = await edgetui("quantize", MODEL, "Q4_K_M")
    assert status == 2 and out == "" and err.count("\n") == 1
    assert "already quantized (Q4_1)" in err and err.endswith("Say yes to that with --yes.\n")
    assert not (home / "data").exists()


async def test_a_dry_run_predicts_and_writes_nothing(home: Path) -> None:
    status, out, _ = await edgetui("quantize", MODEL, "--dry-run")
    assert status == 0 and len(out.splitlines()) > 30
    assert any(line.split()[:3] == ["Q8_0", "138", "MiB"] for line in out.splitlines())
    status, out, _ = await edgetui("quantize", MODEL, "Q8_0", "--dry-run", "--json")
    (plan,) = json.loads(out)
    assert status == 0 and (plan["type"], plan["size_bytes"], plan["problem"]) == ("Q8_0", 144811072, None)
    status, out, _ = await edgetui("quantize", MODEL, "NVFP4", "--dry-run")
    assert status == 1 and "cannot write it" in out
    assert not (home / "data").exists()


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (("nothing-like-it", "Q8_0"), 1, "There is no model 'nothing-like-it'"),
        ((MODEL, "Q9_Z", "--yes"), 2, "knows no type Q9_Z"),
        ((MODEL, "Q9_Z"), 2, "knows no type Q9_Z"),
        ((MODEL, "IQ2_XXS", "--yes"), 1, "needs an importance matrix"),
        ((MODEL,), 2, "Name a type to make"),
        ((MODEL, "Q8_0", "--yes", "--output", "model.bin"), 2, "does not end in .gguf"),
    ],
)
async def test_what_cannot_be_done_is_one_sentence(
    home: Path, arguments: tuple[str, ...], status: int, sentence: str
) -> None:
    code, out, err = await edgetui("quantize", *arguments)
    assert code == status and out == ""
    assert sentence in err.splitlines()[-1] and "Traceback" not in err
    assert not (home / "data").exists()


async def test_interrupting_it_cancels_the_job_and_leaves_nothing(home: Path, tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "edgetui", "quantize", MODEL, "IQ4_XS", "--yes", "-t", "1", "-o", str(target)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    said = b""
    while b"tensors" not in said:
        said += await process.stderr.readline()
    process.send_signal(signal.SIGINT)
    out, err = await process.communicate()
    assert process.returncode == 130 and out == b"" and b"nothing was left" in err
    assert list(target.iterdir()) == []
    _, listed, _ = await edgetui("jobs", "list", "--json")
    assert [job["state"] for job in json.loads(listed)] == ["cancelled"]


async def test_a_detached_job_is_listed_cancelled_restarted_read_and_removed(home: Path) -> None:
    status, out, _ = await edgetui("quantize", MODEL, "IQ4_XS", "--yes", "--threads", "1", "--detach")
    job_id = out.strip()
    assert status == 0 and (home / "state/jobs" / job_id).is_dir()
    status, out, err = await edgetui("jobs", "remove", job_id)
    assert status == 1 and "still running" in err
    status, out, _ = await edgetui("jobs", "cancel", job_id, "--json")
    assert status == 0 and json.loads(out)["state"] == "cancelled"
    status, out, err = await edgetui("jobs", "cancel", job_id)
    assert status == 2 and "is not running" in err
    status, out, _ = await edgetui("jobs", "restart", job_id)
    assert status == 0 and "> running" in out
    status, out, _ = await edgetui("jobs", "cancel", job_id)
    assert status == 0 and "x cancelled" in out
    status, out, _ = await edgetui("jobs", "log", job_id, "--lines", "5")
    assert status == 0 and len(out.splitlines()) <= 5
    status, out, _ = await edgetui("jobs", "remove", job_id)
    assert (status, out) == (0, f"{job_id} removed\n")
    status, out, _ = await edgetui("jobs")
    assert status == 0 and "No jobs yet" in out
    status, _, err = await edgetui("jobs", "log", job_id)
    assert status == 1 and "There is no job" in err
