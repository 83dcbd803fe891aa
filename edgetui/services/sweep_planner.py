"""Working out a sweep: how each build of a model is made, of what, and what of it is here already."""

from __future__ import annotations

import os
import re
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, cast

import msgspec

from edgetui.core.failures import EdgetuiError
from edgetui.core.plain_text import plain_line
from edgetui.core.quality import MeasuredModel
from edgetui.core.quant_options import QuantOptions
from edgetui.core.workflows import WORKFLOWS, Workflow, workflow_name, workflow_recipe
from edgetui.core.workflows.conversion import ToSafetensors
from edgetui.core.workflows.onnx import OnnxBuild
from edgetui.services.engine_devices import toolchain_note
from edgetui.services.workflows import passed_through, workflow_settings
from edgetui.worker.requests import QuantizeRequest, WorkflowRequest
from edgetui.worker.requests.sweep import SweepCell

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edgetui.core.bench import BenchSettings
    from edgetui.core.models import ModelEntry, ModelFormat
    from edgetui.core.workflows import AnyWorkflow
    from edgetui.services.imatrices import Imatrices
    from edgetui.services.quantizer import Quantizer
    from edgetui.services.workflows import Workflows
    from edgetui.store.provenance import Origin
    from edgetui.worker.requests import ImatrixRequest
    from edgetui.worker.requests.sweep import MakeRequest

IMATRIX = "+imatrix"
"""After a type: with an importance matrix."""
MAKE_IMATRIX = "make"
"""In place of a matrix's file: have one made first."""
SLOW_TOKENS = 4
SLOW_REPETITIONS = 2
"""For an engine that is slow on this machine, such as MLX without Apple silicon."""
_WIDTHS = (("32", 34.0), ("16", 17.0), ("8", 9.5), ("int4", 9.0), ("4", 6.0), ("3", 5.0), ("2", 4.0))
"""Bits a weight on disk by what a type's name holds, rather too many: tables of tokens often stay wide."""
_TOOLCHAIN_NAMES = {"": "llama.cpp", "gguf": "llama.cpp", "onnx": "ONNX", "olive": "Olive", "mlx": "MLX"}


class MadeHere:
    """Models that are here, by what they were made of and how: by the file itself, not by its name."""

    def __init__(self, entries: Sequence[ModelEntry], origin_of: Callable[[Path], Origin | None]) -> None:
        """Asks for the origin of each; for a thread of its own."""
        self._found: dict[tuple[str, str], tuple[ModelEntry, float]] = {}
        for entry in entries:
            origin = origin_of(entry.folder or entry.path) if entry.recipe and not entry.problem else None
            if origin is not None:
                self._found[_root(origin.parent_path), origin.recipe] = (entry, origin.created)

    def find(self, source_path: str, recipe: str) -> ModelEntry | None:
        """What this very source was made into by a recipe; nothing where the source was changed since."""
        root = _root(source_path)
        entry, created = self._found.get((root, recipe), (None, 0.0))
        try:
            return entry if entry is not None and os.stat(root).st_mtime <= created else None
        except OSError:
            return None


def _root(path: str) -> str:
    """What stands for a model: its GGUF file, or its folder."""
    real = os.path.realpath(path)
    return real if os.path.isdir(real) or real.endswith(".gguf") else os.path.dirname(real)


class SweepPlanner:
    """Turns the builds of one model into cells."""

    def __init__(
        self,
        entry: ModelEntry,
        base: ModelEntry,
        made_here: MadeHere,
        quantizer: Quantizer,
        workflows: Workflows,
        imatrices: Imatrices,
        *,
        imatrix: str,
        folder: Path | None,
        places: dict[str, str],
    ) -> None:
        """`made_here` is what there is already; `imatrix` is a file, `make`, or empty; in `folder` nothing is kept.

        `places` holds the paths of all that the sweep makes, with what each is, and is added to.
        """
        self._entry = entry
        self._base = MeasuredModel.of(base)
        self._quantizer = quantizer
        self._workflows = workflows
        self._imatrices = imatrices
        self._imatrix = imatrix
        self._folder = folder
        self._places = places
        self._made_here = made_here
        self._sizes: dict[str, int] = {}

    @property
    def predicted_bytes(self) -> int:
        """Room for all that is kept, or for the largest at a time where nothing is."""
        sizes = list(self._sizes.values())
        return sum(sizes) if self._folder is None else sum(sorted(sizes)[-3:])

    def cell_of(self, entry: ModelEntry) -> SweepCell:
        """A model that is here: the source itself, or what it was made of."""
        what = "source" if entry.name == self._entry.name else "its origin"
        if entry.recovered_from is not None:
            what += f", out of {entry.recovered_from}"
        return SweepCell(
            cell_id="",
            label=f"{entry.quant_type or entry.format} ({what})",
            toolchain=_engine_of(entry.format),
            source_name=self._entry.name,
            model_name=entry.name,
            model_path=str(entry.path),
            model_format=entry.format,
            base=self._base,
            quant_type=entry.quant_type or "",
        )

    async def cell(self, build: str) -> SweepCell:
        """One build; raises `EdgetuiError`."""
        names = {workflow_name(workflow) for workflow in WORKFLOWS}
        if build.partition(":")[0] in names or ":" in build:
            return self._by_workflow(build)
        type_name, plus, rest = build.partition(IMATRIX)
        if rest:
            raise EdgetuiError("bad_request", f"{plain_line(build)} is no build: nothing comes after {IMATRIX}.")
        return await self._by_type(type_name.strip().upper(), with_imatrix=bool(plus))

    async def _by_type(self, type_name: str, *, with_imatrix: bool) -> SweepCell:
        entry = self._entry
        if entry.format != "gguf":
            raise EdgetuiError(
                "bad_request", f"{type_name} is made of a GGUF model, and {entry.name} is {entry.format}: convert it."
            )
        first: tuple[ImatrixRequest, ...] = ()
        options = QuantOptions()
        if with_imatrix:
            path, first = self._importances()
            options = QuantOptions(imatrix=path)
        target = self._place(
            self._quantizer.default_target(entry, type_name, options), f"{type_name} {options.told} of {entry.name}"
        )
        request, size_bytes = await self._quantization(type_name, target, options, is_planned=bool(first))
        label = f"{type_name} imatrix" if with_imatrix else type_name
        return self._made(label, "llama.cpp", "gguf", request, request.recipe, size_bytes, first)

    def _importances(self) -> tuple[str, tuple[ImatrixRequest, ...]]:
        """Path of the matrix, and what makes it where it is not here."""
        if not self._imatrix:
            raise EdgetuiError(
                "bad_request", f"A build with {IMATRIX} needs an importance matrix: name its file, or `{MAKE_IMATRIX}`."
            )
        if self._imatrix != MAKE_IMATRIX:
            return os.path.abspath(os.path.expanduser(self._imatrix)), ()
        request = self._imatrices.request(self._entry)
        return request.target, () if Path(request.target).exists() else (request,)

    async def _quantization(
        self, type_name: str, target: Path, options: QuantOptions, *, is_planned: bool
    ) -> tuple[QuantizeRequest, int]:
        """The request that makes a type, and the size that it will have; a matrix that is planned changes no size."""
        entry = self._entry
        known = QuantOptions() if is_planned else options
        async with aclosing(self._quantizer.plan(entry, (type_name,), known)) as plans:
            plan = await anext(plans)
        if plan.problem is not None:
            raise EdgetuiError("unsupported", plan.problem)
        if plan.needs_imatrix and not options.imatrix:
            raise EdgetuiError(
                "unsupported",
                f"{type_name} needs an importance matrix for {entry.name}: write {type_name}{IMATRIX}, and name the"
                f" matrix's file or `{MAKE_IMATRIX}`.",
            )
        request = QuantizeRequest(
            source=str(entry.path),
            target=str(target),
            type_name=type_name,
            options=options,
            allow_requantize=True,
            predicted_bytes=plan.size_bytes,
            source_tensor_bytes=plan.source_tensor_bytes,
            parent_name=entry.name,
            recovered_from=passed_through(entry),
        )
        return request, plan.size_bytes or 0

    def _by_workflow(self, build: str) -> SweepCell:
        settings = workflow_of(build)
        ways = way_to(self._entry, settings)
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
            here = self._made_here.find(source_path, workflow_recipe(way, source_name))
            if here is not None:
                source_path = str(here.path)
                # Not as the list calls it, which depends on what else is there: the recipe must stay the same.
                source_name = (here.folder or here.path).name
            else:
                makes.append(request)
                self._sizes[request.target] = self._guessed_bytes(way)
                source_path, source_name = request.target, Path(request.target).name
            source_format = way.MAKES
        last = self._workflow_request(settings, source_path, source_name, source_format)
        label = f"{_TOOLCHAIN_NAMES.get(settings.TOOLCHAIN, settings.TOOLCHAIN)} {_short(settings)}"
        recipe = workflow_recipe(settings, source_name)
        return self._made(
            label, settings.TOOLCHAIN, settings.MAKES, last, recipe, self._guessed_bytes(settings), tuple(makes)
        )

    def _guessed_bytes(self, settings: Workflow) -> int:
        """About what a workflow's result takes, by its type's width; the source's size where that tells nothing."""
        width = next((bits for mark, bits in _WIDTHS if mark in settings.type_name.lower()), None)
        if width is None or not self._entry.parameter_count:
            return self._entry.size_bytes
        return round(self._entry.parameter_count * width / 8)

    def _workflow_request(
        self, settings: Workflow, source_path: str, source_name: str, source_format: ModelFormat
    ) -> WorkflowRequest:
        target = self._place(
            self._workflows.default_target(self._entry, settings), workflow_recipe(settings, source_name)
        )
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
        request: QuantizeRequest | WorkflowRequest,
        recipe: str,
        size_bytes: int,
        before: Sequence[MakeRequest] = (),
    ) -> SweepCell:
        """The cell of what a request makes, or of the very same that is here."""
        target = Path(request.output or "")
        here = self._made_here.find(request.source, recipe)
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
            base=self._base,
            quant_type=request.settings.type_name if isinstance(request, WorkflowRequest) else request.type_name,
            makes=makes,
            temporary=self._passing(makes),
        )

    def _passing(self, makes: Sequence[MakeRequest]) -> tuple[str, ...]:
        """What of it is removed once it is measured; an importance matrix is kept, since it takes long and is small."""
        return tuple(path for make in makes if (path := make.output or "").startswith(f"{self._folder}/"))

    def _place(self, usual: Path, what: str) -> Path:
        """Where to make it: the usual place, or a name beside it that is free, or a folder that is removed."""
        target = usual if self._folder is None else self._folder / usual.name
        # A folder's name may have a dot that begins no suffix.
        suffix = ".gguf" if target.suffix == ".gguf" else ""
        stem, number = target.name.removesuffix(suffix), 1
        while self._places.get(str(target), what) != what or (str(target) not in self._places and target.exists()):
            number += 1
            target = target.with_name(f"{stem}-{number}{suffix}")
        self._places[str(target)] = what
        return target


def workflow_of(build: str) -> Workflow:
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


def way_to(entry: ModelEntry, settings: Workflow) -> tuple[Workflow, ...] | None:
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


def _engine_of(model_format: ModelFormat) -> str:
    return "llama.cpp" if model_format == "gguf" else model_format


def within_reason(cell: SweepCell, bench: BenchSettings | None) -> SweepCell:
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


def numbered(number: int, cell: SweepCell) -> SweepCell:
    words = re.sub(r"[^A-Za-z0-9]+", "-", cell.label).strip("-")[:40]
    return msgspec.structs.replace(cell, cell_id=f"{number:03d}-{words}")
