"""Decode rate of an ONNX decoder through edgetui's session worker over a bare loop of onnxruntime-genai.

Same environment, model, threads, prompt and number of tokens, both greedy; the two processes stay loaded and take
turns. The figure is the median of the rounds' own ratios (see `decode_ratio`).
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from benchmarks.app_session import PROMPT, demo_model
from benchmarks.decode_ratio import summary
from benchmarks.machine import usable_cores, warn_when_busy
from benchmarks.report import Result, show
from edgetui.core.run_settings import LoadSettings, SamplingSettings
from edgetui.core.workflows.conversion import ToSafetensors
from edgetui.core.workflows.onnx import OnnxBuild
from edgetui.worker.protocol import Finished, Generate, Load, Tokenize, Tokenized
from edgetui.worker.session import SessionWorker, session_worker
from edgetui.worker.spawn import toolchain_environment, toolchain_python
from tests.toolchains import TOOLCHAINS
from tests.workflow_results import made_by

if TYPE_CHECKING:
    from edgetui.worker.protocol import Command, SessionEvent

ROUNDS = 15
TOKENS = 256
CONTEXT_TOKENS = 1024
BAR = 0.97


def measure() -> list[Result]:
    """Build the demo model for onnxruntime-genai, then alternate worker and bare loop."""
    for toolchain in ("gguf", "onnx"):
        # Named before minutes are spent; `make test` installs them.
        toolchain_python(TOOLCHAINS, toolchain)
    with tempfile.TemporaryDirectory() as folder:
        homes = [Path(folder) / name for name in ("safetensors", "onnx")]
        for home in homes:
            home.mkdir()
        weights = made_by(ToSafetensors(), demo_model(), TOOLCHAINS / "gguf", homes[0])
        model = made_by(OnnxBuild(), weights, TOOLCHAINS / "onnx", homes[1])
        return [ratio_of(model)]


def ratio_of(model: Path, rounds: int = ROUNDS, threads: int = 0) -> Result:
    """The figure of a model's folder; 0 threads take one a physical core."""
    threads = threads or min(psutil.cpu_count(logical=False) or 1, usable_cores())
    warn_when_busy()
    loop = subprocess.Popen(
        [toolchain_python(TOOLCHAINS, "onnx"), Path(__file__).with_name("genai_loop.py"), model, str(threads)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=toolchain_environment(),
    )
    try:
        app, bare = asyncio.run(_alternate(loop, model, threads, rounds))
    finally:
        loop.kill()
        loop.wait()
    return Result(
        "decode rate of onnxruntime-genai through the worker over a bare loop",
        statistics.median(ours / theirs for ours, theirs in zip(app, bare, strict=True)),
        "",
        BAR,
        "higher",
        (
            f"{rounds} rounds in turn, {TOKENS} tokens, {threads} threads, {model.name}",
            f"ratio of the medians {statistics.median(app) / statistics.median(bare):.3f}",
            f"edgetui {summary(app)}",
            f"bare loop {summary(bare)}",
        ),
    )


async def _alternate(
    loop: subprocess.Popen[str], model: Path, threads: int, rounds: int
) -> tuple[list[float], list[float]]:
    """Rates in tok/s of both, each in the lead in every other round; the first round of each warms up."""
    app: list[float] = []
    bare: list[float] = []
    async with session_worker(model.parent, "onnxruntime-genai", TOOLCHAINS) as worker:
        settings = LoadSettings(context_tokens=CONTEXT_TOKENS, threads=threads)
        await _ask(worker, Load(path=str(model / "model.onnx"), settings=settings))
        prompt = await _ask(worker, Tokenize(text=PROMPT))
        assert isinstance(prompt, Tokenized)
        tokens = [piece.token for piece in prompt.tokens]
        for number in range(-1, rounds):
            if number % 2:
                bare.append(_bare_rate(loop, tokens))
            app.append(await _rate(worker))
            if not number % 2:
                bare.append(_bare_rate(loop, tokens))
            if number >= 0:
                print(f"round {number + 1}: edgetui {app[-1]:.1f}, bare loop {bare[-1]:.1f} tok/s", flush=True)
    return app[1:], bare[1:]


async def _rate(worker: SessionWorker) -> float:
    sampling = SamplingSettings(temperature=0.0, max_tokens=TOKENS, ignore_eos=True)
    finished = await _ask(worker, Generate(turn=1, prompt=PROMPT, sampling=sampling))
    assert isinstance(finished, Finished)
    return (finished.generated_tokens - 1) / finished.decode_s


async def _ask(worker: SessionWorker, command: Command) -> SessionEvent:
    async with aclosing(worker.request(command)) as events:
        return [event async for event in events][-1]


def _bare_rate(loop: subprocess.Popen[str], prompt: list[int]) -> float:
    assert loop.stdin is not None and loop.stdout is not None
    loop.stdin.write(json.dumps([prompt, TOKENS]) + "\n")
    loop.stdin.flush()
    return (TOKENS - 1) / float(loop.stdout.readline())


if __name__ == "__main__":
    sys.exit(show(measure()))
