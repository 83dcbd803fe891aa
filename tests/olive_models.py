"""A tiny decoder, and what Olive's workflows make of it: once a session, in one process, since Olive imports slowly."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from edgetui.worker.spawn import toolchain_environment

TOOLS = Path(__file__).parent / "olive_tools"
LIMIT_S = 600


class Made(NamedTuple):
    """What came of a list of orders."""

    folder: Path
    """Each result stands here under its order's name."""
    answers: dict[str, dict[str, Any]]
    asked: list[str]
    """What the process wanted of the network."""


def order(source: Path, name: str, workflow: str, **settings: object) -> dict[str, Any]:
    """One result to make."""
    return {"source": str(source), "name": name, "settings": {"workflow": workflow, **settings}}


def make_all(python: Path, folder: Path, orders: list[dict[str, Any]]) -> Made:
    """Make them one after the other into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [{**each, "target": str(folder / each["name"])} for each in orders]
    told = json.dumps([str(folder / "state"), wanted])
    done = run(python, TOOLS / "makings.py", told)
    answered = json.loads(done.splitlines()[-1])
    names = [each["name"] for each in orders]
    return Made(folder, dict(zip(names, answered["answers"], strict=True)), answered["asked"])


def run(python: Path, script: Path, told: str, *arguments: str) -> str:
    """What a script prints in a toolchain's environment."""
    done = subprocess.run(
        [str(python), str(script), *arguments],
        input=told,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        env=toolchain_environment(),
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="session")
def tiny_llama(olive_toolchain: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of safetensors."""
    folder = tmp_path_factory.mktemp("models") / "tiny-llama"
    run(olive_toolchain / "bin" / "python", TOOLS / "tiny_llama.py", "", str(folder))
    return folder


@pytest.fixture(scope="session")
def olive_made(olive_toolchain: Path, tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A decoder in fp32, and what every template makes of it or of its safetensors."""
    folder = tmp_path_factory.mktemp("olive-made")
    weights, graph = tiny_llama / "model.safetensors", folder / "fp32" / "model.onnx"
    text = folder / "mine.txt"
    text.write_text("The quick brown fox jumps over the lazy dog. " * 40)
    return make_all(
        olive_toolchain / "bin" / "python",
        folder,
        [
            order(weights, "fp32", "olive-convert"),
            order(weights, "int4", "olive-convert", precision="int4"),
            order(graph, "rtn", "olive-int4"),
            order(graph, "rtn8", "olive-int4", bits=8, symmetric=True),
            order(graph, "kquant", "olive-int4", algorithm="k_quant"),
            order(graph, "static", "olive-static-int8", samples=2, tokens=16),
            order(graph, "tuned", "olive-session-tuning", tokens=8, most_threads=1),
            order(weights, "gptq", "olive-gptq", text=str(text), samples=2, tokens=32),
            order(graph, "again", "olive-int4"),
        ],
    )
