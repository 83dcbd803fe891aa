"""Steps of a job: they end with it, whatever ends it, and nothing is started once it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.store.job_folder import JobFolder, JobOrder
from edgetui.worker.process_mark import process_mark
from edgetui.worker.requests import QuantizeRequest
from edgetui.worker.steps import Steps

STARTER = """
import os, sys, time
from pathlib import Path
from edgetui.store.job_folder import JobFolder
from edgetui.worker.launch import start_job
folder = JobFolder(Path(sys.argv[1]))
lock = folder.lock()
process = start_job(folder, folder.order(), lock, as_step=True)
print(process.pid, flush=True)
time.sleep(float(sys.argv[2]))
os.kill(os.getpid(), 9)
"""
"""Starts a step and is killed after a while, as a job is by the kernel."""


@pytest.fixture
def order(demo_model: Path, tmp_path: Path) -> JobOrder:
    """A quantization that takes some ten seconds."""
    request = QuantizeRequest(
        source=str(demo_model), target=str(tmp_path / "made.gguf"), type_name="IQ4_XS", allow_requantize=True
    )
    return JobOrder(request=request, created_at=0.0, database=str(tmp_path / "db"))


@pytest.mark.parametrize("lives_s", [0.0, 0.02, 0.1, 0.5])
def test_a_step_never_outlives_the_job_that_started_it(order: JobOrder, tmp_path: Path, lives_s: float) -> None:
    folder, lock = JobFolder.create(tmp_path / "jobs", order)
    os.close(lock)
    ended = subprocess.run(
        [sys.executable, "-c", STARTER, str(folder.path), str(lives_s)], capture_output=True, text=True
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    pid = int(ended.stdout)
    deadline = time.monotonic() + 30
    while process_mark(pid) is not None:
        assert time.monotonic() < deadline, "the step goes on without its job"
        os.sched_yield()
    assert not (tmp_path / "made.gguf").exists()


def test_a_job_that_ends_starts_no_further_step(order: JobOrder, tmp_path: Path) -> None:
    folder, lock = JobFolder.create(tmp_path / "jobs", order)
    os.close(lock)
    steps = Steps(folder, order)
    steps.end()
    with pytest.raises(EdgetuiError, match="cancelled"):
        steps.run("late", order.request)
    assert not list(tmp_path.glob("*.part")) and not (tmp_path / "made.gguf").exists()
