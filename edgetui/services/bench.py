"""Measurements of models: start them as jobs, keep their history, compare two rows."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from edgetui.core.bench import BenchRecord, Comparison, Machine
from edgetui.core.failures import EdgetuiError
from edgetui.core.statistics import ratio_of_means
from edgetui.formats.model_folder import GENAI_CONFIG
from edgetui.services.signals import Signal
from edgetui.store.history import History
from edgetui.worker.requests import BenchRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetui.core.bench import BenchSettings
    from edgetui.core.jobs import JobRecord
    from edgetui.core.models import ModelEntry
    from edgetui.services.hardware import HardwareMonitor
    from edgetui.services.jobs import Jobs
    from edgetui.store.database import Database
    from edgetui.worker.protocol import JobFailed, JobSucceeded


class Bench:
    """Benchmarks in llama-bench's terms; a row is in the history once it is measured, whoever is watching."""

    def __init__(self, jobs: Jobs, database: Database, hardware: HardwareMonitor) -> None:
        self._jobs = jobs
        self._history = History(database)
        self._hardware = hardware
        self.changed: Signal[None] = Signal()
        """Published when this process knows of a new row, or removed one."""

    async def start(self, entry: ModelEntry, settings: BenchSettings) -> JobRecord:
        """Measure a model in a job.

        Raises `EdgetuiError` as `check` does, `busy`, and `engine_missing` without the toolchain of its format.
        """
        self.check(entry, settings)
        running = next((job for job in await self._jobs.list() if job.is_running), None)
        if running is not None:
            raise EdgetuiError(
                "busy",
                f"Job {running.job_id} ({running.kind} of {running.subject}) is running and would spoil the figures:"
                " wait for it, or cancel it on the Jobs screen.",
            )
        return await self._jobs.start(
            BenchRequest(
                model=str(entry.path),
                model_name=entry.name,
                settings=settings,
                machine=await self.machine(),
                model_format=entry.format,
            )
        )

    @staticmethod
    def check(entry: ModelEntry, settings: BenchSettings) -> None:
        """Raise `EdgetuiError` for what can never be measured: `bad_file`, `unsupported`, `bad_request`."""
        if entry.problem:
            raise EdgetuiError("bad_file", entry.problem)
        if entry.format == "safetensors":
            raise EdgetuiError(
                "unsupported",
                f"{entry.name} is in the safetensors format, which no engine here runs: make GGUF, ONNX or MLX of it"
                " first.",
            )
        if entry.format == "onnx" and not (entry.path.parent / GENAI_CONFIG).is_file():
            raise EdgetuiError(
                "unsupported",
                f"{entry.name} is a graph without {GENAI_CONFIG}, and onnxruntime-genai measures decoders with it:"
                " build one with onnx-build.",
            )
        if not settings.prompt_tokens and not settings.generated_tokens:
            raise EdgetuiError("bad_request", "There is nothing to measure: ask for prompt tokens or generated tokens.")

    async def follow(self, job_id: str) -> JobSucceeded | JobFailed:
        """Publish `changed` for each row of a job as it comes; gives the job's last event."""
        return await self._jobs.follow_rows(job_id, self.changed)

    async def history(self) -> list[BenchRecord]:
        """Every row ever measured here, newest first."""
        return await asyncio.to_thread(self._history.records)

    async def remove(self, record_ids: Sequence[int]) -> int:
        """Forget rows; returns how many there were."""
        count = await asyncio.to_thread(self._history.remove, record_ids)
        self.changed.publish(None)
        return count

    async def machine(self) -> Machine:
        """What rows say of where they were measured."""
        info = await self._hardware.describe()
        return Machine(
            cpu=info.cpu.model.value or "",
            physical_cores=info.cpu.physical_cores.value,
            memory_bytes=info.memory.usable_bytes,
            system=info.system.os_name.value or "",
            architecture=info.system.architecture.value or "",
        )


def compare(first: BenchRecord, second: BenchRecord) -> Comparison:
    """Two rows side by side; raises `EdgetuiError("bad_request")` unless they measure the same test."""
    if first.row.name != second.row.name:
        raise EdgetuiError(
            "bad_request",
            f"{first.row.name} and {second.row.name} are different tests: mark two rows of the same one.",
        )
    return Comparison(first, second, ratio_of_means(first.row.samples_tps, second.row.samples_tps))
