"""Sweeps: many builds of a model made and measured in one job, and what all sweeps found side by side."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from typing import TYPE_CHECKING

import msgspec

from edgetui.core.failures import EdgetuiError
from edgetui.core.frontier import FrontierRow
from edgetui.core.toolchains import ENGINE_TOOLCHAIN
from edgetui.core.units import format_bytes
from edgetui.core.workflows import WORKFLOWS, workflow_name
from edgetui.services.engine_devices import toolchain_note
from edgetui.services.quality import MEASURED_FORMATS, unquantized_parent
from edgetui.services.signals import Signal
from edgetui.services.sweep_planner import MadeHere, SweepPlanner, numbered, way_to, within_reason, workflow_of
from edgetui.services.workflows import passed_through
from edgetui.store.frontier import FrontierRows
from edgetui.store.provenance import Provenance
from edgetui.worker.requests import SweepRequest
from edgetui.worker.requests.sweep import SweepCell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetui.config import Paths, Settings
    from edgetui.core.bench import BenchSettings
    from edgetui.core.jobs import JobRecord
    from edgetui.core.models import ModelEntry
    from edgetui.core.quality import QualitySettings
    from edgetui.services.bench import Bench
    from edgetui.services.catalog import Catalog
    from edgetui.services.imatrices import Imatrices
    from edgetui.services.jobs import Jobs
    from edgetui.services.quantizer import Quantizer
    from edgetui.services.toolchains import Toolchains
    from edgetui.services.workflows import Workflows
    from edgetui.store.database import Database
    from edgetui.worker.requests.sweep import SweepCell

USUAL_TYPES = ("Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q4_0", "Q3_K_M")
USUAL_WORKFLOWS = (
    "onnx-build:precision=int8",
    "onnx-build:precision=int4",
    "olive-int4",
    "mlx-quantize:bits=8",
    "mlx-quantize:bits=4",
)


class SweepPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What a sweep would do; a cell that makes nothing is of a model that is here."""

    request: SweepRequest
    predicted_bytes: int
    """Room that what it makes will take, at most at any time."""


class Frontier:
    """Plans and starts sweeps; keeps what they found."""

    def __init__(
        self,
        settings: Settings,
        paths: Paths,
        jobs: Jobs,
        database: Database,
        catalog: Catalog,
        quantizer: Quantizer,
        workflows: Workflows,
        imatrices: Imatrices,
        toolchains: Toolchains,
        bench: Bench,
    ) -> None:
        self._settings = settings
        self._paths = paths
        self._jobs = jobs
        self._rows = FrontierRows(database)
        self._provenance = Provenance(database)
        self._catalog = catalog
        self._quantizer = quantizer
        self._workflows = workflows
        self._imatrices = imatrices
        self._toolchains = toolchains
        self._bench = bench
        self.changed: Signal[None] = Signal()
        """Published when this process removed rows; a running sweep is followed by its job."""

    async def usual_builds(self, entry: ModelEntry) -> tuple[str, ...]:
        """What a sweep tries when nothing is named: the usual types, and each toolchain that is installed."""
        ready = {status.name for status in await self._toolchains.list() if status.state == "ready"}
        names = {workflow_name(workflow) for workflow in WORKFLOWS}
        chosen = list(USUAL_TYPES) if entry.format == "gguf" else []
        for build in USUAL_WORKFLOWS:
            if build.partition(":")[0] in names:
                settings = workflow_of(build)
                ways = way_to(entry, settings)
                is_ready = ways is not None and all(way.TOOLCHAIN in ready for way in (*ways, settings))
                # What takes seconds a token here is only made when it is asked for.
                if is_ready and not toolchain_note(settings.MAKES):
                    chosen.append(build)
        return tuple(chosen)

    async def plan(
        self,
        entries: Sequence[ModelEntry],
        builds: Sequence[str] = (),
        *,
        base: ModelEntry | None = None,
        imatrix: str = "",
        quality: QualitySettings | None,
        bench: BenchSettings | None,
        keep: bool = True,
    ) -> SweepPlan:
        """Work out how each build of each model is made and measured.

        A build is a type of llama.cpp (`Q4_K_M`, `Q4_K_M+imatrix`) or a workflow with settings
        (`onnx-build:precision=int4,block_size=32`); none takes the usual ones. What it starts from is made first where
        the model has another format. The model itself is measured too, first. `base` is what quality is measured
        against, else each model itself. `imatrix` is a file or `make`. With `keep` false what is made is removed once
        it is measured. Raises `EdgetuiError`: `bad_request`, `unsupported`, `bad_file`, `engine_missing`.
        """
        if quality is None and bench is None:
            raise EdgetuiError("bad_request", "There is nothing to measure: ask for quality or for speed.")
        known = await self._catalog.scan()
        by_name = {each.name: each for each in known}
        made_here = await asyncio.to_thread(MadeHere, known, self._provenance.origin_of)
        folder = None if keep else self._paths.state_dir / "sweeps" / f"{time.time_ns():x}"
        cells: list[SweepCell] = []
        places: dict[str, str] = {}
        predicted_bytes = 0
        for entry in entries:
            if entry.problem is not None:
                raise EdgetuiError("bad_file", entry.problem)
            planner = SweepPlanner(
                entry,
                base or self._yardstick(entry, known, quality),
                made_here,
                self._quantizer,
                self._workflows,
                self._imatrices,
                imatrix=imatrix,
                folder=folder,
                places=places,
            )
            if entry.format in MEASURED_FORMATS:
                cells.append(planner.cell_of(entry))
            origin = by_name.get(entry.parent or "")
            if entry.recovered_from and origin and not origin.problem and origin.format in MEASURED_FORMATS:
                # It may well be the best of all, since what it lost is lost in the source too.
                cells.append(planner.cell_of(origin))
            for build in dict.fromkeys(builds or await self.usual_builds(entry)):
                cells.append(await planner.cell(build))
            predicted_bytes += planner.predicted_bytes
        cells = [numbered(number, within_reason(cell, bench)) for number, cell in enumerate(cells)]
        more = f" and {len(entries) - 1} more" if len(entries) > 1 else ""
        return SweepPlan(
            request=SweepRequest(
                source_name=f"{entries[0].name}{more}",
                cells=tuple(cells),
                quality=quality,
                bench=bench,
                machine=await self._bench.machine(),
                baselines=str(self._paths.baselines_dir),
                headroom_bytes=self._settings.disk_headroom_bytes,
            ),
            predicted_bytes=predicted_bytes,
        )

    @staticmethod
    def _yardstick(entry: ModelEntry, known: Sequence[ModelEntry], quality: QualitySettings | None) -> ModelEntry:
        """What a model's builds are compared with: itself, or an unquantized build of it that an engine runs."""
        if entry.format in MEASURED_FORMATS or quality is None:
            return entry
        builds = (each for each in known if each.parent == entry.name and each.format in MEASURED_FORMATS)
        found = next((each for each in builds if passed_through(each) in (None, entry.recovered_from)), None)
        found = found or unquantized_parent(entry, known)
        if found is None:
            raise EdgetuiError(
                "unsupported",
                f"{entry.name} is in the {entry.format} format, which no engine here runs, so there is nothing to"
                " compare its builds with: make a GGUF of it first (to-gguf) and sweep that, or name a --base.",
            )
        return found

    async def missing_toolchains(self, plan: SweepPlan) -> tuple[str, ...]:
        """Environments that the sweep needs and that cannot be used as they are."""
        needed = {make.toolchain for cell in plan.request.cells for make in cell.makes}
        needed |= {ENGINE_TOOLCHAIN[cell.model_format] for cell in plan.request.cells}
        states = {status.name: status.state for status in await self._toolchains.list()}
        return tuple(sorted(name for name in needed if name and states[name] in ("absent", "broken")))

    async def start(self, plan: SweepPlan) -> JobRecord:
        """Start a planned sweep; raises `EdgetuiError`: `no_space`, `busy`, `no_permission`, `engine_missing`."""
        missing = await self.missing_toolchains(plan)
        if missing:
            raise EdgetuiError(
                "engine_missing",
                f"The toolchain {missing[0]} is not installed, or broken: install it with"
                f" `edgetui toolchain install {missing[0]} --again`, or leave its builds out.",
            )
        running = next((job for job in await self._jobs.list() if job.is_running), None)
        if running is not None and plan.request.bench is not None:
            raise EdgetuiError(
                "busy",
                f"Job {running.job_id} ({running.kind} of {running.subject}) is running and would spoil the figures:"
                " wait for it, or cancel it on the Jobs screen.",
            )
        await asyncio.to_thread(self._require_room, plan.predicted_bytes)
        return await self._jobs.start(plan.request)

    async def rows(self) -> list[FrontierRow]:
        """Every build that a sweep measured, the newest sweep first."""
        return await asyncio.to_thread(self._rows.rows)

    async def remove(self, sweep_id: str) -> int:
        """Forget what a sweep found, never what it made; returns how many rows there were."""
        count = await asyncio.to_thread(self._rows.remove, sweep_id)
        self.changed.publish(None)
        return count

    def _require_room(self, needed: int) -> None:
        folder = next(parent for parent in (self._paths.models_dir, *self._paths.models_dir.parents) if parent.exists())
        if needed and not os.access(folder, os.W_OK | os.X_OK):
            raise EdgetuiError(
                "no_permission", f"The folder {folder} cannot be written: make it writable, or keep none of the builds."
            )
        free, headroom = shutil.disk_usage(folder).free, self._settings.disk_headroom_bytes
        if free < needed + headroom:
            raise EdgetuiError(
                "no_space",
                f"The builds may take {format_bytes(needed)} and {format_bytes(headroom)} shall stay free, but {folder}"
                f" has {format_bytes(free)} left: name fewer builds, keep none of them, or free some space.",
            )
