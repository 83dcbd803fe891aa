"""Sweeps: many builds of a model made and measured in one job, and what all sweeps found side by side."""

from __future__ import annotations

import asyncio
import re
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, cast

import msgspec

from edgetui.core.failures import EdgetuiError
from edgetui.core.frontier import FrontierRow
from edgetui.core.plain_text import plain_line
from edgetui.core.quality import MeasuredModel
from edgetui.core.quant_options import QuantOptions
from edgetui.core.units import format_bytes
from edgetui.core.workflows import WORKFLOWS, Workflow, workflow_name, workflow_recipe
from edgetui.core.workflows.conversion import ToSafetensors
from edgetui.core.workflows.onnx import OnnxBuild
from edgetui.services.engine_devices import toolchain_note
from edgetui.services.signals import Signal
from edgetui.services.workflows import passed_through, workflow_settings
from edgetui.store.frontier import FrontierRows
from edgetui.worker.requests import QuantizeRequest, SweepRequest, WorkflowRequest
from edgetui.worker.requests.sweep import SweepCell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetui.config import Paths, Settings
    from edgetui.core.bench import BenchSettings
    from edgetui.core.jobs import JobRecord
    from edgetui.core.models import ModelEntry, ModelFormat
    from edgetui.core.quality import QualitySettings
    from edgetui.core.workflows import AnyWorkflow
    from edgetui.services.bench import Bench
    from edgetui.services.catalog import Catalog
    from edgetui.services.jobs import Jobs
    from edgetui.services.quantizer import Quantizer
    from edgetui.services.toolchains import Toolchains
    from edgetui.services.workflows import Workflows
    from edgetui.store.database import Database
    from edgetui.worker.requests.sweep import MakeRequest

IMATRIX = "+imatrix"
"""After a type: with an importance matrix."""
USUAL_TYPES = ("Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q4_0", "Q3_K_M")
USUAL_WORKFLOWS = (
    "onnx-build:precision=int8",
    "onnx-build:precision=int4",
    "olive-int4",
    "mlx-quantize:bits=8",
    "mlx-quantize:bits=4",
)
SLOW_TOKENS = 4
SLOW_REPETITIONS = 2
"""For an engine that is slow on this machine, such as MLX without Apple silicon."""
_TOOLCHAIN_NAMES = {"": "llama.cpp", "gguf": "llama.cpp", "onnx": "ONNX", "olive": "Olive", "mlx": "MLX"}


class SweepPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What a sweep would do."""

    request: SweepRequest
    reused: tuple[str, ...]
    """Labels of builds that are here already and are only measured."""
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
        toolchains: Toolchains,
        bench: Bench,
    ) -> None:
        self._settings = settings
        self._paths = paths
        self._jobs = jobs
        self._rows = FrontierRows(database)
        self._catalog = catalog
        self._quantizer = quantizer
        self._workflows = workflows
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
                settings = _workflow_of(build)
                ways = _way_to(entry, settings)
                if ways is not None and all(way.TOOLCHAIN in ready for way in (*ways, settings)):
                    chosen.append(build)
        return tuple(chosen)

    async def plan(
        self,
        entry: ModelEntry,
        builds: Sequence[str],
        *,
        base: ModelEntry | None = None,
        imatrix: Path | None = None,
        quality: QualitySettings | None,
        bench: BenchSettings | None,
        keep: bool = True,
    ) -> SweepPlan:
        """Work out how each build is made and measured.

        A build is a type of llama.cpp (`Q4_K_M`, `Q4_K_M+imatrix`) or a workflow with settings
        (`onnx-build:precision=int4,block_size=32`); what it starts from is made first where the model has another
        format. The model itself is measured too, first. `base` is what quality is measured against, else the model
        itself. With `keep` false what is made is removed once it is measured. Raises `EdgetuiError`: `bad_request`,
        `unsupported`, `bad_file`, `engine_missing`.
        """
        if entry.problem is not None:
            raise EdgetuiError("bad_file", entry.problem)
        if quality is None and bench is None:
            raise EdgetuiError("bad_request", "There is nothing to measure: ask for quality or for speed.")
        entries = await self._catalog.scan()
        planner = _Planner(self, entry, entries, imatrix, keep=keep)
        cells = [planner.source_cell()]
        for build in dict.fromkeys(builds):
            cells.append(await planner.cell(build))
        cells = [_numbered(number, _within_reason(cell, bench)) for number, cell in enumerate(cells)]
        base = base or entry
        return SweepPlan(
            request=SweepRequest(
                source_name=entry.name,
                base=MeasuredModel.of(base),
                cells=tuple(cells),
                quality=quality,
                bench=bench,
                machine=await self._bench.machine(),
                baselines=str(self._paths.baselines_dir),
                headroom_bytes=self._settings.disk_headroom_bytes,
            ),
            reused=tuple(cell.label for cell in cells[1:] if not cell.makes),
            predicted_bytes=planner.predicted_bytes,
        )

    async def start(self, plan: SweepPlan) -> JobRecord:
        """Start a planned sweep; raises `EdgetuiError`: `no_space`, `busy`, `no_permission`, `engine_missing`."""
        for cell in plan.request.cells:
            for make in cell.makes:
                if make.toolchain:
                    await self._require_toolchain(make.toolchain)
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

    async def quantization(
        self, entry: ModelEntry, type_name: str, target: Path, options: QuantOptions
    ) -> tuple[QuantizeRequest, int]:
        """The request that makes a type, and the size that it will have; raises `EdgetuiError`."""
        plan = await self._quantizer.startable_plan(entry, type_name, options)
        request = QuantizeRequest(
            source=str(entry.path),
            target=str(target),
            type_name=type_name,
            options=options,
            allow_requantize=True,
            predicted_bytes=plan.size_bytes,
            parent_name=entry.name,
            recovered_from=passed_through(entry),
        )
        return request, plan.size_bytes or 0

    def quantization_target(self, entry: ModelEntry, type_name: str, options: QuantOptions) -> Path:
        """Where a type goes."""
        return self._quantizer.default_target(entry, type_name, options)

    def workflow_target(self, entry: ModelEntry, settings: Workflow) -> Path:
        """Where a workflow's result goes."""
        return self._workflows.default_target(entry, settings)

    def temporary_folder(self) -> Path:
        """Where what is not kept is made: no list of models looks there."""
        return self._paths.state_dir / "sweeps" / f"{time.time_ns():x}"

    async def _require_toolchain(self, name: str) -> None:
        status = await self._toolchains.status(name)
        if status.state in ("absent", "broken"):
            raise EdgetuiError(
                "engine_missing",
                f"The toolchain {name} is {'not installed' if status.state == 'absent' else 'broken'}: install it with"
                f" `edgetui toolchain install {name}`, or leave its builds out.",
            )

    def _require_room(self, needed: int) -> None:
        folder = next(parent for parent in (self._paths.models_dir, *self._paths.models_dir.parents) if parent.exists())
        free, headroom = shutil.disk_usage(folder).free, self._settings.disk_headroom_bytes
        if free < needed + headroom:
            raise EdgetuiError(
                "no_space",
                f"The builds may take {format_bytes(needed)} and {format_bytes(headroom)} shall stay free, but {folder}"
                f" has {format_bytes(free)} left: name fewer builds, keep none of them, or free some space.",
            )


class _Planner:
    """Turns the builds of one sweep into cells."""

    def __init__(
        self, frontier: Frontier, entry: ModelEntry, entries: Sequence[ModelEntry], imatrix: Path | None, *, keep: bool
    ) -> None:
        self._frontier = frontier
        self._entry = entry
        self._imatrix = imatrix
        self._folder = None if keep else frontier.temporary_folder()
        self._by_recipe = {(each.parent, each.recipe): each for each in entries if each.recipe and not each.problem}
        self._planned: dict[str, ModelFormat] = {}
        self._sizes: dict[str, int] = {}

    @property
    def predicted_bytes(self) -> int:
        """Room for all that is kept, or for the largest at a time where nothing is."""
        sizes = list(self._sizes.values())
        return sum(sizes) if self._folder is None else sum(sorted(sizes)[-3:])

    def source_cell(self) -> SweepCell:
        """The model itself."""
        entry = self._entry
        return SweepCell(
            cell_id="",
            label=_told_type(entry),
            toolchain=_engine_of(entry.format),
            source_name=entry.name,
            model_name=entry.name,
            model_path=str(entry.path),
            model_format=entry.format,
            quant_type=entry.quant_type or "",
        )

    async def cell(self, build: str) -> SweepCell:
        """One build; raises `EdgetuiError`."""
        names = {workflow_name(workflow) for workflow in WORKFLOWS}
        if build.partition(":")[0] in names:
            return self._by_workflow(build)
        type_name, plus, _ = build.partition(IMATRIX)
        return await self._by_type(type_name.strip().upper(), with_imatrix=bool(plus))

    async def _by_type(self, type_name: str, *, with_imatrix: bool) -> SweepCell:
        entry = self._entry
        if entry.format != "gguf":
            raise EdgetuiError(
                "bad_request", f"{type_name} is made of a GGUF model, and {entry.name} is {entry.format}: convert it."
            )
        if with_imatrix and self._imatrix is None:
            raise EdgetuiError(
                "bad_request", f"{type_name}{IMATRIX} needs an importance matrix: name its file, or have one made."
            )
        options = QuantOptions(imatrix=str(self._imatrix)) if with_imatrix else QuantOptions()
        target = self._place(self._frontier.quantization_target(entry, type_name, options))
        request, size_bytes = await self._frontier.quantization(entry, type_name, target, options)
        label = f"{type_name} imatrix" if with_imatrix else type_name
        return self._made(label, "llama.cpp", "gguf", request, request.recipe, size_bytes)

    def _by_workflow(self, build: str) -> SweepCell:
        settings = _workflow_of(build)
        ways = _way_to(self._entry, settings)
        if ways is None:
            raise EdgetuiError(
                "bad_request",
                f"{workflow_name(settings)} takes {' or '.join(settings.TAKES)}, and no workflow leads there from"
                f" {self._entry.name} ({self._entry.format}).",
            )
        makes: list[MakeRequest] = []
        source_path, source_name, source_format = str(self._entry.path), self._entry.name, self._entry.format
        for way in ways:
            request = self._workflow_request(way, source_path, source_name, source_format)
            here = self._by_recipe.get((source_name, workflow_recipe(way, source_name)))
            if here is not None:
                source_path = str(here.path)
                # Not as the list calls it, which depends on what else is there: the recipe must stay the same.
                source_name = (here.folder or here.path).name
            else:
                makes.append(request)
                self._sizes[request.target] = self._entry.size_bytes * (2 if way.type_name == "fp32" else 1)
                source_path, source_name = request.target, Path(request.target).name
            source_format = way.MAKES
        last = self._workflow_request(settings, source_path, source_name, source_format)
        label = f"{_TOOLCHAIN_NAMES.get(settings.TOOLCHAIN, settings.TOOLCHAIN)} {_short(settings)}"
        recipe = workflow_recipe(settings, source_name)
        return self._made(label, settings.TOOLCHAIN, settings.MAKES, last, recipe, self._entry.size_bytes, tuple(makes))

    def _workflow_request(
        self, settings: Workflow, source_path: str, source_name: str, source_format: ModelFormat
    ) -> WorkflowRequest:
        target = self._place(self._frontier.workflow_target(self._entry, settings))
        return WorkflowRequest(
            source=source_path,
            source_name=source_name,
            source_format=source_format,
            target=str(target),
            settings=cast("AnyWorkflow", settings),
            recovered_from=passed_through(self._entry),
        )

    def _made(
        self,
        label: str,
        toolchain: str,
        made_format: ModelFormat,
        request: MakeRequest,
        recipe: str,
        size_bytes: int,
        before: tuple[MakeRequest, ...] = (),
    ) -> SweepCell:
        """The cell of what a request makes, or of the very same that is here."""
        target = Path(request.output or "")
        here = self._by_recipe.get((request.subject, recipe))
        if here is None:
            self._sizes[str(target)] = size_bytes
        makes = () if here is not None else (*before, request)
        return SweepCell(
            cell_id="",
            label=label,
            toolchain=toolchain,
            source_name=self._entry.name,
            model_name=target.name.removesuffix(".gguf") if here is None else here.name,
            model_path=str(target) if here is None else str(here.path),
            model_format=made_format,
            quant_type=request.settings.type_name if isinstance(request, WorkflowRequest) else request.type_name,
            makes=makes,
            temporary=tuple(make.output or "" for make in makes) if self._folder is not None else (),
        )

    def _place(self, usual: Path) -> Path:
        """Where to make it: the usual place, or a name beside it that is free, or a folder that is removed."""
        if self._folder is not None:
            return self._folder / usual.name
        target, number = usual, 1
        while target.exists() and str(target) not in self._sizes:
            number += 1
            # A folder's name may have a dot that begins no suffix.
            suffix = ".gguf" if usual.suffix == ".gguf" else ""
            target = usual.with_name(f"{usual.name.removesuffix(suffix)}-{number}{suffix}")
        return target


def _workflow_of(build: str) -> Workflow:
    """`onnx-build:precision=int4,block_size=32`; raises `EdgetuiError("bad_request")`."""
    name, _, told = build.partition(":")
    values = {}
    for pair in filter(None, told.split(",")):
        key, equals, value = pair.partition("=")
        if not equals:
            raise EdgetuiError(
                "bad_request", f"{plain_line(pair)} in {plain_line(build)} is no setting: write NAME=VALUE."
            )
        values[key.strip()] = value.strip()
    return workflow_settings(name.strip(), values)


def _way_to(entry: ModelEntry, settings: Workflow) -> tuple[Workflow, ...] | None:
    """What must be made first, losing nothing; empty where nothing must, None where nothing leads there."""
    # The builder reads only some GGUF files itself, and safetensors always.
    if entry.format in settings.TAKES and not (entry.format == "gguf" and isinstance(settings, OnnxBuild)):
        return ()
    unpacked = ToSafetensors(dtype="bf16" if (entry.quant_type or "").upper() == "BF16" else "f16")
    built = OnnxBuild(precision="fp32")
    ways: tuple[tuple[Workflow, ...], ...] = ((unpacked,), (built,), (unpacked, built))
    for way in ways:
        formats = [entry.format, *(step.MAKES for step in way)]
        fits = all(before in step.TAKES for before, step in zip(formats, way, strict=False))
        if fits and formats[-1] in settings.TAKES and not (entry.format == "gguf" and way[0] is built):
            return way
    return None


def _short(settings: Workflow) -> str:
    """`int4`, `int4 b64`: the type with what differs from the workflow's defaults."""
    usual = type(settings)()
    differs = [
        f"{name}={getattr(settings, name)}"
        for name in settings.__struct_fields__
        if getattr(settings, name) != getattr(usual, name) and str(getattr(settings, name)) not in settings.type_name
    ]
    words = workflow_name(settings).removeprefix(f"{settings.TOOLCHAIN}-")
    kind = settings.type_name if words in ("build", "quantize") else words
    return " ".join([kind, *differs])


def _told_type(entry: ModelEntry) -> str:
    return f"{entry.quant_type or entry.format} (source)"


def _engine_of(model_format: ModelFormat) -> str:
    return "llama.cpp" if model_format == "gguf" else model_format


def _within_reason(cell: SweepCell, bench: BenchSettings | None) -> SweepCell:
    """A cell whose engine takes seconds a token here is measured over a few tokens; its row tells over how many."""
    if bench is None or not toolchain_note(cell.model_format):
        return cell
    few = msgspec.structs.replace(
        bench,
        prompt_tokens=0 if bench.generated_tokens else min(bench.prompt_tokens, SLOW_TOKENS),
        generated_tokens=min(bench.generated_tokens, SLOW_TOKENS),
        repetitions=min(bench.repetitions, SLOW_REPETITIONS),
    )
    return msgspec.structs.replace(cell, bench=few)


def _numbered(number: int, cell: SweepCell) -> SweepCell:
    words = re.sub(r"[^A-Za-z0-9]+", "-", cell.label).strip("-")[:40]
    return msgspec.structs.replace(cell, cell_id=f"{number:03d}-{words}")
