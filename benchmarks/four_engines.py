"""`python -m benchmarks.four_engines FOLDER`: SmolLM2 in all four engines, as a user does it, and the tables exported.

llama.cpp, onnxruntime-genai, MLX and a real llama-server on loopback answer the same prompt side by side; the three
that run here are benched, llama-bench's own rows are imported beside them, and the server answers several at once. In
FOLDER are then `answers.md`, `rows.md` (llama-bench's form) and `report.html`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.app_session import EDGETUI, MODEL, PROMPT, demo_model
from benchmarks.llama_server import running
from benchmarks.llama_tools import llama_bench
from benchmarks.machine import usable_cores, warn_when_busy
from tests.toolchains import TOOLCHAINS

WEIGHTS, ONNX, MLX = "SmolLM2.BF16", "SmolLM2.onnx-int4", "SmolLM2.mlx-4bit"
CONTEXT_TOKENS, ANSWER_TOKENS = 2048, 32
TESTS = ("-p", "64", "-n", "16", "-r", "5")
"""Short: off Apple silicon MLX computes a token or so a second."""


def main(folder: Path) -> None:
    """Build, run, bench, import, export; stops at the first step that fails, in its own words."""
    threads = str(usable_cores())
    warn_when_busy()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home:
        data = Path(home) / "data"
        data.mkdir()
        (data / "toolchains").symlink_to(TOOLCHAINS)
        os.environ |= {"EDGETUI_HOME": home, "HF_HOME": f"{home}/hub"}
        _edgetui("convert", MODEL, "to-safetensors", "-o", data / "models" / WEIGHTS)
        _edgetui("convert", WEIGHTS, "onnx-build", "-o", data / "models" / ONNX)
        _edgetui("convert", WEIGHTS, "mlx-quantize", "-o", data / "models" / MLX)
        options = ("-c", str(4 * CONTEXT_TOKENS), "-np", "4", "-t", threads, "--alias", MODEL, "--jinja")
        with running(demo_model(), *options) as url:
            _edgetui("server", "add", "llama-server", url)
            sets = (f"threads={threads}", f"context_tokens={CONTEXT_TOKENS}", "temperature=0", "ignore_eos=true")
            _edgetui(
                *("compare", MODEL, ONNX, MLX, "llama-server", PROMPT, "-n", ANSWER_TOKENS),
                *(word for each in sets for word in ("--set", each)),
                *("--markdown", "--out", folder / "answers.md"),
            )
            _edgetui("server", "bench", "llama-server", "-p", "64", "-n", "16")
        _edgetui("bench", MODEL, ONNX, MLX, *TESTS)
        theirs = Path(home) / "llama-bench.json"
        with theirs.open("wb") as stream:
            subprocess.run(
                [llama_bench(), "-m", demo_model(), *TESTS, "-t", threads, "-o", "json"], stdout=stream, check=True
            )
        _edgetui("history", "import", theirs)
        _edgetui("history", "export", "-o", folder / "rows.md")
        _edgetui("history", "report", "-o", folder / "report.html")


def _edgetui(*words: object) -> None:
    subprocess.run([str(EDGETUI), *map(str, words)], check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
