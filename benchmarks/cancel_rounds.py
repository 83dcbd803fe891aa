"""Quantizations and importance matrices cancelled at random moments: what is left of them, and how soon they end."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from benchmarks.app_session import demo_model
from benchmarks.llama_tools import llama_quantize
from benchmarks.report import Result, show
from edgetui.core.failures import EdgetuiError
from edgetui.services.lab import Lab

if TYPE_CHECKING:
    from edgetui.core.jobs import JobRecord
    from edgetui.core.models import ModelEntry

ROUNDS = 100
TYPES = ("Q4_K_M", "IQ4_XS", "Q8_0", "imatrix")
LATEST_S = 4.0
"""A moment is drawn between the start and this, or after the end of what is done sooner."""


def measure() -> list[Result]:
    """Cancel at a hundred moments."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"EDGETUI_HOME": folder, "HF_HOME": f"{folder}/hub"}
        source = Path(folder) / "data" / "models" / "source.F16.gguf"
        source.parent.mkdir(parents=True)
        subprocess.run(
            [llama_quantize(), "--allow-requantize", demo_model(), source, "F16"], check=True, capture_output=True
        )
        return asyncio.run(rounds(ROUNDS, LATEST_S))


async def rounds(count: int, latest_s: float) -> list[Result]:
    """Start, wait for a moment, cancel, look; the model `source.F16` must be among those that are here."""
    lab, chance = Lab(), random.Random(3)
    entry = await lab.catalog.find("source.F16")
    left: list[str] = []
    ends: list[float] = []
    cancelled = 0
    try:
        for number in range(count):
            record = await _start(lab, entry, TYPES[number % len(TYPES)])
            await asyncio.sleep(chance.uniform(0.0, latest_s))
            began = time.perf_counter()
            with suppress(EdgetuiError):
                # One that is done already cannot be cancelled, and then its file is there.
                record = await lab.jobs.cancel(record.job_id)
            ends.append(time.perf_counter() - began)
            record = await lab.jobs.get(record.job_id)
            cancelled += record.state == "cancelled"
            left += await asyncio.to_thread(_left_behind, lab, entry, record)
    finally:
        await lab.close()
    lines = (
        f"{count} jobs ({', '.join(TYPES)}) of {entry.name}, {cancelled} of them ended by the cancellation",
        f"from the wish to the end at most {max(ends):.2f} s",
        *left[:5],
    )
    return [Result("left behind by cancelled jobs", float(len(left)), "", 0.0, "lower", lines)]


async def _start(lab: Lab, entry: ModelEntry, type_name: str) -> JobRecord:
    if type_name == "imatrix":
        return await lab.imatrices.start(lab.imatrices.request(entry, chunks=1, threads=1), entry)
    return await lab.quantizer.start(entry, type_name, threads=1)


def _left_behind(lab: Lab, entry: ModelEntry, record: JobRecord) -> list[str]:
    """Files that should not be there and processes that still run; what a job finished is removed."""
    found = []
    if record.state == "succeeded" and record.output:
        Path(record.output).unlink()
    for folder in (lab.paths.models_dir, lab.imatrices.folder):
        found += [str(path) for path in folder.glob("*") if path != entry.path]
        found += [str(path) for path in folder.glob(".*")]
    for process in psutil.process_iter(["cmdline"]):
        if any(record.job_id in argument for argument in process.info["cmdline"] or ()):
            found.append(f"process {process.pid} of {record.job_id}")
    return [f"{record.job_id} ({record.goal}): {what}" for what in found]


if __name__ == "__main__":
    sys.exit(show(measure()))
