"""Measurements of models: start them as jobs, keep their history."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from edgetui.core.bench import BenchRecord, BenchSettings, BenchTest, Machine, tests_of
from edgetui.core.bench_matrix import require_applied
from edgetui.core.failures import EdgetuiError
from edgetui.core.setting_values import checked
from edgetui.core.studies import AS_A_CHAT, BenchSide
from edgetui.formats.model_folder import GENAI_CONFIG
from edgetui.services.hardware.thread_limits import require_threads
from edgetui.services.profiles import Profiles, model_key
from edgetui.services.signals import Signal
from edgetui.store.history import History
from edgetui.store.studies import Studies
from edgetui.worker.requests import (
    AbRequest,
    BenchRequest,
    LoadTimeRequest,
    MatrixRequest,
    SoakRequest,
    TuneRequest,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetui.core.bench_matrix import Matrix
    from edgetui.core.jobs import JobRecord
    from edgetui.core.models import ModelEntry
    from edgetui.core.studies import AbSettings, LoadTimeSettings, SoakSettings, Study, TuneSettings
    from edgetui.services.hardware import HardwareMonitor
    from edgetui.services.jobs import Jobs
    from edgetui.store.database import Database
    from edgetui.worker.job_events import JobFailed, JobSucceeded


class Bench:
    """Benchmarks in llama-bench's terms; a row is in the history once it is measured, whoever is watching."""

    def __init__(self, jobs: Jobs, database: Database, hardware: HardwareMonitor) -> None:
        self._jobs = jobs
        self._history = History(database)
        self._studies = Studies(database)
        self._hardware = hardware
        self._profiles = Profiles(database, hardware)
        self.changed: Signal[None] = Signal()
        """Published when this process knows of a new row, or removed one."""

    async def start(self, entry: ModelEntry, settings: BenchSettings) -> JobRecord:
        """Measure a model in a job.

        Raises `EdgetuiError` as `check` does, `busy`, and `engine_missing` without the toolchain of its format.
        """
        self.check(entry, settings)
        return await self._jobs.start_alone(_cell(entry, settings, await self.machine()))

    async def start_matrix(self, entries: Sequence[ModelEntry], matrix: Matrix) -> JobRecord:
        """Measure every combination of the matrix's values on each of the models, in one job; fails as `start` does."""
        cells = matrix.cells()
        for entry in entries:
            for cell in cells:
                self.check(entry, cell)
        machine = await self.machine()
        return await self._jobs.start_alone(
            MatrixRequest(cells=tuple(_cell(entry, settings, machine) for entry in entries for settings in cells))
        )

    async def start_ttft(self, entry: ModelEntry, settings: BenchSettings, lengths: Sequence[int]) -> JobRecord:
        """Measure the time to the first token at each length of a prompt; a row each. Fails as `start` does."""
        tests = tuple(BenchTest(prompt_tokens=length, depth_tokens=settings.depth_tokens) for length in lengths)
        return await self.start(
            entry, msgspec.structs.replace(settings, prompt_tokens=0, generated_tokens=0, tests=tests)
        )

    async def start_soak(self, entry: ModelEntry, settings: SoakSettings) -> JobRecord:
        """Decode for minutes; fails as `start` does."""
        side = side_of(entry, settings.settings)
        return await self._jobs.start_alone(
            SoakRequest(side=side, settings=checked(settings), machine=await self.machine())
        )

    async def start_ab(self, a: BenchSide, b: BenchSide, settings: AbSettings) -> JobRecord:
        """Measure two sides (`side_of`) alternately; fails as `start` does."""
        if not settings.test.computed_tokens:
            raise EdgetuiError("bad_request", "There is nothing to measure: ask for prompt tokens or generated tokens.")
        for side in (a, b):
            require_applied(side.model_name, side.model_format, checked(side.settings))
        if a == b:
            raise EdgetuiError("bad_request", "Both sides are the same: give another model or other settings to one.")
        return await self._jobs.start_alone(
            AbRequest(a=a, b=b, settings=checked(settings), machine=await self.machine())
        )

    async def start_tune(self, entry: ModelEntry, settings: TuneSettings) -> JobRecord:
        """Look for the fastest settings; what is shown to be faster becomes a profile. Fails as `start` does."""
        if not entry.is_gguf and settings.start == AS_A_CHAT:
            settings = msgspec.structs.replace(settings, start=BenchSettings())
        side = side_of(entry, settings.start)
        return await self._jobs.start_alone(
            TuneRequest(
                side=side,
                settings=checked(settings),
                machine=await self.machine(),
                profile_model=model_key(entry) if settings.save_profile else "",
                profile_machine=await self._profiles.machine(),
            )
        )

    async def start_load_times(self, entry: ModelEntry, settings: LoadTimeSettings) -> JobRecord:
        """Load a model from the disk and from memory; fails as `start` does."""
        side = side_of(entry, settings.settings)
        return await self._jobs.start_alone(
            LoadTimeRequest(side=side, settings=checked(settings), machine=await self.machine())
        )

    @staticmethod
    def check(entry: ModelEntry, settings: BenchSettings) -> None:
        """Raise `EdgetuiError` for what can never be measured: `bad_file`, `unsupported`, `bad_request`."""
        if entry.problem:
            raise EdgetuiError("bad_file", entry.problem)
        if entry.format == "server":
            raise EdgetuiError(
                "unsupported",
                f"{entry.name} runs on a server, and these tests feed an engine its tokens: measure the server with"
                " edgetui server bench.",
            )
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
        require_applied(entry.name, entry.format, checked(settings))
        require_threads(settings.threads)
        tests_of(settings)

    async def follow(self, job_id: str) -> JobSucceeded | JobFailed:
        """Publish `changed` for each row of a job as it comes; gives the job's last event."""
        return await self._jobs.follow_rows(job_id, self.changed)

    async def history(self) -> list[BenchRecord]:
        """Every row ever measured here, newest first."""
        return await asyncio.to_thread(self._history.records)

    async def history_mark(self) -> tuple[int, int]:
        """Another one than before where rows came or went, in whichever process."""
        return await asyncio.to_thread(self._history.mark)

    async def studies(self) -> list[Study]:
        """Every soak, A/B comparison, autotune and load time found here, newest first."""
        return await asyncio.to_thread(self._studies.all)

    async def remove_studies(self, study_ids: Sequence[int]) -> int:
        """Forget some; returns how many there were."""
        count = await asyncio.to_thread(self._studies.remove, study_ids)
        self.changed.publish(None)
        return count

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


def side_of(entry: ModelEntry, settings: BenchSettings, label: str = "") -> BenchSide:
    """A model with settings, as a side of a comparison; raises `EdgetuiError` as `Bench.check` does."""
    # Whatever these settings say of tests is not looked at.
    Bench.check(entry, msgspec.structs.replace(settings, prompt_tokens=1))
    return BenchSide(
        model_path=str(entry.path),
        model_name=entry.name,
        model_format=entry.format,
        fingerprint=entry.fingerprint,
        settings=settings,
        label=label or entry.name,
    )


def _cell(entry: ModelEntry, settings: BenchSettings, machine: Machine) -> BenchRequest:
    return BenchRequest(
        model=str(entry.path),
        model_name=entry.name,
        settings=settings,
        machine=machine,
        model_format=entry.format,
        fingerprint=entry.fingerprint,
    )
