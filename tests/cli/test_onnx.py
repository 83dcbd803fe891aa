"""`edgetui onnx` as a script runs it."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

import pytest

from tests.cli.command import edgetui
from tests.onnx_files import write_onnx

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def graph(tmp_path: Path, home: Path) -> str:
    """A product of a batch of 4 numbers with a matrix."""
    return str(write_onnx(tmp_path / "product.onnx"))


async def test_inputs_runs_results_and_a_comparison_are_printed(graph: str) -> None:
    status, out, _ = await edgetui("onnx", "inputs", graph)
    assert status == 0 and "x  float32  batch x 4" in out and "y  float32  batch x 3" in out
    status, out, _ = await edgetui("onnx", "run", graph, "-r", "3", "--profile", "-i", "batch=2", "-t", "1")
    assert status == 0 and "p50" in out and "3 runs after 3 of warm-up" in out and "x float32 2x4" in out
    assert "MatMul" in out and "100.0%" in out
    status, out, _ = await edgetui("onnx", "run", graph, "-r", "2", "--json")
    (row,) = [json.loads(out)]
    assert status == 0 and row["p50_ms"] > 0 and row["p99_ms"] >= row["p50_ms"] and len(row["samples_ns"]) == 2
    status, out, _ = await edgetui("onnx", "results")
    assert status == 0 and [line.split()[0] for line in out.splitlines()] == ["id", "2", "1"]
    status, out, _ = await edgetui("onnx", "results", "--compare", "1", "2")
    assert status == 0 and "Speed of the first" in out and "95 % interval" in out and "inputs x=2x4" in out
    status, out, _ = await edgetui("onnx", "results", "--show", "1")
    assert status == 0 and "Trace" in out and "# --- Python (onnxruntime)" in out
    status, out, _ = await edgetui("onnx", "results", "--show", "1", "--commands")
    command = next(line for line in out.splitlines() if line.startswith("edgetui onnx run "))
    status, out, _ = await edgetui(*shlex.split(command)[1:], "--json")
    again = json.loads(out)
    assert status == 0 and again["inputs"] == [{**again["inputs"][0], "name": "x", "shape": [2, 4]}]
    assert (again["threads"], again["provider"], len(again["samples_ns"])) == (1, "CPU", 3)
    status, _, err = await edgetui("onnx", "results", "--commands")
    assert status == 2 and "give its number with --show" in err


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (["run", "nope"], 1, "nope"),
        (["run", "SmolLM2-135M-Instruct.Q4_1"], 1, "is no ONNX model"),
        (["run", "{graph}", "-i", "batch"], 2, "is no size"),
        (["run", "{graph}", "-i", "rows=3"], 2, "no free dimension"),
        (["run", "{graph}", "--opt-level", "most"], 2, "The value for opt-level"),
        (["run", "{graph}", "--provider", "cuda", "-r", "1"], 1, "execution provider cuda is not in"),
        (["run", "{graph}", "--file", "/gone.npz"], 1, "/gone.npz"),
        (["results", "--show", "99"], 1, "No latency has the number 99"),
        (["results", "nope"], 1, "Nothing has been measured of nope"),
    ],
)
async def test_a_wrong_request_is_one_sentence_and_a_status(
    graph: str, arguments: list[str], status: int, sentence: str
) -> None:
    got, out, err = await edgetui("onnx", *(each.replace("{graph}", graph) for each in arguments))
    told = [line for line in err.splitlines() if line.startswith("edgetui: ")]
    assert (got, out) == (status, "") and len(told) == 1 and sentence in told[0], err
