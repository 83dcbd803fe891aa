"""Decode rate of an ONNX decoder through edgetui's session worker over a bare loop of onnxruntime-genai.

Same environment, model, threads, depth and number of tokens, both greedy; in turn, many rounds (`paired`).
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from benchmarks.app_session import PROMPT, demo_model
from benchmarks.machine import usable_cores, warn_when_busy
from benchmarks.paired import in_turn, ratio_result
from benchmarks.report import Result, show
from edgetui.core.run_settings import LoadSettings, SamplingSettings
from edgetui.core.workflows.conversion import ToSafetensors
from edgetui.core.workflows.onnx import OnnxBuild
from edgetui.worker.protocol import Finished, Generate, Load
from edgetui.worker.session import SessionWorker, session_worker
from edgetui.worker.spawn import toolchain_environment, toolchain_python
from tests.toolchains import TOOLCHAINS
from tests.workflow_results import made_by

if TYPE_CHECKING:
    from edgetui.worker.protocol import Command, SessionEvent

ROUNDS = 31
TOKENS = 256
CONTEXT_TOKENS = 1024
PROMPT_TOKENS = 13
"""Of `PROMPT`."""
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
    name = "decode rate of onnxruntime-genai through the worker over a bare loop"
    rates = in_turn(rounds, lambda: asyncio.run(_rate(model, threads)), lambda: _bare_rate(model, threads), name)
    return ratio_result(name, rates, BAR, f"{TOKENS} tokens, {threads} threads, {model.name}")


async def _rate(model: Path, threads: int) -> float:
    """tok/s of the second answer of a new worker."""
    async with session_worker(model.parent, "onnxruntime-genai", TOOLCHAINS) as worker:
        settings = LoadSettings(context_tokens=CONTEXT_TOKENS, threads=threads)
        await _ask(worker, Load(path=str(model / "model.onnx"), settings=settings))
        sampling = SamplingSettings(temperature=0.0, max_tokens=TOKENS, ignore_eos=True)
        for turn in (1, 2):
            finished = await _ask(worker, Generate(turn=turn, prompt=PROMPT, sampling=sampling))
        assert isinstance(finished, Finished)
        return (finished.generated_tokens - 1) / finished.decode_s


async def _ask(worker: SessionWorker, command: Command) -> SessionEvent:
    async with aclosing(worker.request(command)) as events:
        return [event async for event in events][-1]


def _bare_rate(model: Path, threads: int) -> float:
    """tok/s of the second answer of a new process; which tokens stand before it does not change the work."""
    order = json.dumps([list(range(PROMPT_TOKENS)), TOKENS])
    answer = subprocess.run(
        [toolchain_python(TOOLCHAINS, "onnx"), Path(__file__).with_name("genai_loop.py"), model, str(threads)],
        input=f"{order}\n{order}\n",
        capture_output=True,
        check=True,
        text=True,
        env=toolchain_environment(),
    )
    return (TOKENS - 1) / float(answer.stdout.split()[-1])


if __name__ == "__main__":
    sys.exit(show(measure()))
