"""`edgetui compare` as the installed command, on the real model."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.cli.command import edgetui

if TYPE_CHECKING:
    from pathlib import Path

MODEL = "SmolLM2-135M-Instruct.Q4_1"
pytestmark = pytest.mark.usefixtures("home")


async def test_two_settings_of_one_model_are_compared_and_the_row_is_shown_again(tmp_path: Path) -> None:
    settings = ["--set", "c=256", "--set", "2:kv=q8_0", "--set", "temperature=0", "-n", "6"]
    status, out, err = await edgetui("compare", MODEL, MODEL, "What is rain?", *settings)
    assert (status, err) == (0, "")
    assert f"--- 1. {MODEL} (kv cache type f16)" in out and f"--- 2. {MODEL} (kv cache type q8_0)" in out
    assert "tok/s" in out and "one after another" in out and "Kept as 1" in out

    status, out, _ = await edgetui("compare", "--prefer", "1:2")
    assert status == 0
    status, out, _ = await edgetui("compare", "--history")
    assert status == 0 and "q8_0)*" in out and "What is rain?" in out
    report = tmp_path / "report.md"
    status, out, err = await edgetui("compare", "--show", "1", "--out", str(report))
    assert (status, out) == (0, "") and str(report) in err
    document = report.read_text()
    assert "(preferred)" in document and "llama-cli -m" in document and "import llama_cpp" in document
    status, out, _ = await edgetui("compare", "--show", "1", "--json")
    told = json.loads(out)
    assert told["preferred"] == 1 and told["columns"][1]["facts"]["load"]["kv_cache_type"] == "q8_0"
    assert [command["tool"] for command in told["columns"][0]["commands"]][:2] == ["edgetui", "llama-cli"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([MODEL, "x"], "2 to 4 models"),
        ([MODEL, MODEL, "x", "--set", "3:threads=1"], "columns 1 to 2"),
        ([MODEL, MODEL, "x", "--set", "threads"], "threads=1"),
        ([MODEL, MODEL, "x", "--set", "speed=9"], "no setting 'speed'"),
        ([MODEL, MODEL, "x", "--set", "threads=many"], "threads cannot be used"),
        ([MODEL, MODEL, "x", "--set", "2:threads=999"], "far too many"),
        ([MODEL, "none-such", "x"], "none-such"),
        (["--show", "9"], "no comparison 9"),
        (["--prefer", "9"], "3:1"),
        ([MODEL, MODEL, "x", "--json", "--markdown"], "either"),
    ],
)
async def test_a_wrong_request_is_one_sentence(arguments: list[str], sentence: str) -> None:
    status, out, err = await edgetui("compare", *arguments)
    assert status in (1, 2) and not out
    assert err.startswith("edgetui: ") and err.count("\n") == 1 and sentence in err


async def test_run_prints_what_asks_the_same_elsewhere_and_runs_nothing() -> None:
    status, out, err = await edgetui(
        "run", MODEL, "What's rain?", "--print-command", "--seed", "3", "--kv", "q8_0", "--no-mmap"
    )
    assert (status, err) == (0, "")
    # The settings file of this test's home says one thread, and elsewhere it does not.
    assert "-t 1 --kv q8_0 --no-mmap --seed 3 'What'\"'\"'s rain?'" in out
    assert "# --- llama-cli\n" in out and "llama-cli -m " in out and "use_mmap=False" in out
