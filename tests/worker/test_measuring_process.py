"""A measuring process over the real model: what it answers, and what is said when it cannot."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import psutil
import pytest

from edgetui.core.bench import BenchSettings, BenchTest
from edgetui.core.failures import EdgetuiError
from edgetui.core.studies import BenchSide
from edgetui.worker.measuring_process import MeasuringProcess
from tests.waiting import until

TEST = BenchTest(prompt_tokens=8, generated_tokens=2)


def side(path: Path) -> BenchSide:
    return BenchSide(
        model_path=str(path), model_name=path.stem, model_format="gguf", settings=BenchSettings(threads=1), label="a"
    )


def test_a_side_is_opened_run_and_closed(demo_model: Path, tmp_path: Path) -> None:
    with MeasuringProcess("gguf", tmp_path) as process:
        facts = process.open(side(demo_model), TEST)
        assert (facts["engine"], facts["threads"], facts["model_quant_type"]) == ("llama.cpp", 1, "Q4_1")
        assert process.run() > 0 and process.run() > 0
        held = psutil.Process(process.pid).memory_info().rss
        process.close()
        assert psutil.Process(process.pid).memory_info().rss < held
        with pytest.raises(EdgetuiError, match="No model"):
            process.run()


def test_a_load_that_fails_is_told_and_the_process_lives_on(demo_model: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_text("not a model")
    with MeasuringProcess("gguf", tmp_path) as process:
        with pytest.raises(EdgetuiError, match=r"broken\.gguf") as caught:
            process.open(side(broken), TEST)
        assert caught.value.failure.kind == "bad_file" and process.is_alive
        process.open(side(demo_model), TEST)


def test_a_process_that_is_killed_is_told_in_a_sentence(tmp_path: Path) -> None:
    with MeasuringProcess("gguf", tmp_path) as process:
        os.kill(process.pid, signal.SIGKILL)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        # Now even the question cannot be written; what is left of it must not spoil the end.
        with pytest.raises(EdgetuiError, match="no memory left") as caught:
            process.run()
        assert caught.value.failure.kind == "out_of_memory"


def test_an_engine_that_is_not_installed_is_named(tmp_path: Path) -> None:
    with pytest.raises(EdgetuiError, match="toolchain install onnx"):
        MeasuringProcess("onnx", tmp_path)


async def test_it_ends_when_its_job_closes_the_pipe(tmp_path: Path) -> None:
    process = MeasuringProcess("gguf", tmp_path)
    child = psutil.Process(process.pid)
    stdin = process._process.stdin
    assert stdin is not None
    stdin.close()
    await until(lambda: child.status() == psutil.STATUS_ZOMBIE, asyncio.sleep)
    process.end()
