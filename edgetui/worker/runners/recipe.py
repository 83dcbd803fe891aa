"""The job that searches the types of a model's tensors, makes the file, and holds it against a usual type.

Each part is a step in a process of its own; what is done stays done when the job is broken off and started again.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from edgetui.core.bench import BenchSettings
from edgetui.core.failures import EdgetuiError
from edgetui.core.quant_options import QuantOptions, TensorOverride
from edgetui.core.recipe_search import (
    PROBE_TYPE,
    GroupSensitivity,
    Measured,
    RecipeResult,
    may_be_quantized,
    paired_verdict,
    speed_sentence,
    type_shares,
    verdict_sentence,
)
from edgetui.core.statistics import mean, standard_deviation
from edgetui.core.tensor_errors import exact_pattern
from edgetui.core.units import format_bytes
from edgetui.engines.recipe.plan import RecipePlan, StockPlan, plan_recipe, plan_stock
from edgetui.engines.reporting import Outcome
from edgetui.formats.final_name import refuse_existing, take_name
from edgetui.formats.gguf import check_loadable
from edgetui.hub.access import HubAccess
from edgetui.store.provenance import Origin, Provenance
from edgetui.store.tensor_errors import TensorErrors
from edgetui.worker.job_events import JobBenchRow, JobProgress
from edgetui.worker.requests import (
    BenchRequest,
    ComparisonRequest,
    QuantizeRequest,
    SensitivityRequest,
    TensorErrorsRequest,
)
from edgetui.worker.texts import prepare

if TYPE_CHECKING:
    from edgetui.core.bench import BenchRow
    from edgetui.core.quality import MeasuredText
    from edgetui.worker.job_events import JobEvent
    from edgetui.worker.requests import JobRequest, RecipeRequest
    from edgetui.worker.runners import RunningJob

T = TypeVar("T")
DECODE = BenchSettings(prompt_tokens=0, generated_tokens=64, repetitions=3)
"""Each file is measured twice so, in the order of a, b, b, a: a machine that grows slower favours neither."""


def run(request: RecipeRequest, job: RunningJob) -> Outcome:
    """Make `request.target`."""
    source, target = Path(request.source), Path(request.target)
    recipe_file, stock_file, _ = request.partials(job.folder.job_id)
    settings = request.settings
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EdgetuiError(
            "no_permission", f"The folder {target.parent} cannot be made ({error.strerror}): name another folder."
        ) from error
    refuse_existing(target)
    steps = _Steps(request, job, prepare(settings.text, job.folder.path / "text", HubAccess.of_environment))
    steps.measure_errors()
    sensitivities = steps.measure_sensitivities() if settings.choosing_chunks else ()
    errors = TensorErrors(job.database).of(request.source_fingerprint, request.trial)
    plan = plan_recipe(source, errors, sensitivities, settings, request.imatrix)
    stock = plan_stock(source, errors, sensitivities, plan, request.imatrix)
    options = QuantOptions(
        imatrix=request.imatrix,
        tensor_types=tuple(TensorOverride(exact_pattern(name), kind) for name, kind in plan.overrides),
    )
    steps.quantize("recipe", recipe_file, plan.base_type, options)
    _require_types(recipe_file, plan)
    steps.quantize("stock", stock_file, stock.type_name, QuantOptions(imatrix=request.imatrix))
    recipe_figures, stock_figures = steps.compare((recipe_file, stock_file))
    if settings.bench:
        recipe_figures, stock_figures = steps.bench(recipe_figures, stock_figures, recipe_file, stock_file, stock)
    result = _result(request, plan, stock, recipe_figures, stock_figures, steps.text.name)
    (job.folder.path / RESULT).write_bytes(msgspec.json.encode(result))
    stock_file.unlink(missing_ok=True)
    origins = Provenance(job.database)
    job.finishing()
    origins.record(
        target,
        Origin(
            parent_name=request.source_name,
            parent_path=request.source,
            type_name=plan.base_type,
            recovered_from=request.recovered_from,
            recipe=f"recipe search of {request.source_name} for {format_bytes(settings.target_bytes)}: {_told(result)}",
            created=time.time(),
        ),
        still_at=recipe_file,
    )
    for step_file in (recipe_file, stock_file):
        origins.forget(step_file)
    take_name(recipe_file, target)
    told = " ".join(filter(None, (verdict_sentence(result), speed_sentence(result))))
    return Outcome(
        summary=f"{target.name} is made, {format_bytes(result.recipe.size_bytes)}. {told}", output=str(target)
    )


RESULT = "recipe.json"
"""In the job's folder: all that was found."""


@dataclass
class _Steps:
    """The steps of one search, and how far they are."""

    request: RecipeRequest
    job: RunningJob
    text: MeasuredText
    done: int = 0

    @property
    def count(self) -> int:
        """Steps in all."""
        settings = self.request.settings
        return 4 + bool(settings.choosing_chunks) + (4 if settings.bench else 0)

    def run(self, name: str, step: JobRequest, said: str) -> list[JobEvent]:
        """Run one; gives what it told."""
        events: list[JobEvent] = []

        def follow(event: JobEvent) -> None:
            events.append(event)
            if isinstance(event, JobProgress):
                share = event.done / event.total if event.total else 0.0
                self.job.progress(self.done + share, self.count, "steps", f"{said}: {event.note}")

        self.job.progress(self.done, self.count, "steps", said)
        self.job.steps.run(name, step, follow)
        self.done += 1
        return events

    def measure_errors(self) -> None:
        """Every tensor in every type that it may take."""
        request = self.request
        tensors = check_loadable(Path(request.source)).tensors
        step = TensorErrorsRequest(
            model=request.source,
            model_name=request.source_name,
            parent=request.source,
            parent_fingerprint=request.source_fingerprint,
            made_by=request.trial,
            tensors=tuple(tensor.name for tensor in tensors if may_be_quantized(tensor.name, tensor.shape)),
            # The probe's own type too: sensitivities are for a unit of its error.
            types=tuple(dict.fromkeys((*request.settings.types, PROBE_TYPE))),
            imatrix=request.imatrix,
            most_weights=request.settings.most_weights,
        )
        self.run("errors", step, "errors")

    def measure_sensitivities(self) -> tuple[GroupSensitivity, ...]:
        """What each group of tensors does to the divergence."""
        request, settings = self.request, self.request.settings
        told = (request.source_fingerprint, request.trial, self.text.sha256, PROBE_TYPE)
        key = f"{' '.join(told)} {settings.context_tokens} {settings.choosing_chunks}"
        # Beside the jobs: a search for another size of the same model goes on from there.
        result = self.job.folder.path.parents[1] / "sensitivities" / f"{sha256(key.encode()).hexdigest()[:32]}.json"
        with suppress(OSError, msgspec.DecodeError):
            known = _read(result, tuple[GroupSensitivity, ...])
            self.done += 1
            return known
        result.parent.mkdir(exist_ok=True)
        step = SensitivityRequest(
            parent=request.source,
            parent_name=request.source_name,
            parent_fingerprint=request.source_fingerprint,
            trial=request.trial,
            settings=settings,
            text=self.text,
            imatrix=request.imatrix,
            result=str(result),
            copy=str(request.partials(self.job.folder.job_id)[2]),
        )
        self.run("sensitivities", step, "sensitivity")
        return _read(result, tuple[GroupSensitivity, ...])

    def quantize(self, name: str, target: Path, type_name: str, options: QuantOptions) -> None:
        """Make one of the files."""
        request = self.request
        step = QuantizeRequest(
            source=request.source,
            target=str(target),
            type_name=type_name,
            options=options,
            parent_name=request.source_name,
            recovered_from=request.recovered_from,
        )
        self.run(f"quantize-{name}", step, f"making the {name}")

    def compare(self, files: tuple[Path, Path]) -> tuple[Measured, Measured]:
        """Both against the parent."""
        request = self.request
        result = self.job.folder.path / "comparison.json"
        step = ComparisonRequest(
            parent=request.source,
            parent_name=request.source_name,
            models=tuple(map(str, files)),
            settings=request.settings,
            text=self.text,
            result=str(result),
        )
        self.run("compare", step, "comparing")
        return _read(result, tuple[Measured, Measured])

    def bench(
        self, recipe: Measured, stock: Measured, recipe_file: Path, stock_file: Path, plan: StockPlan
    ) -> tuple[Measured, Measured]:
        """Both with their decode rates."""
        request = self.request
        settings = msgspec.structs.replace(DECODE, threads=request.settings.threads)
        files = {"recipe": recipe_file, "stock": stock_file}
        names = {"recipe": Path(request.target).stem, "stock": f"{request.source_name} as {plan.type_name}"}
        samples: dict[str, list[float]] = {"recipe": [], "stock": []}
        for turn, which in enumerate(("recipe", "stock", "stock", "recipe")):
            step = BenchRequest(
                model=str(files[which]), model_name=names[which], settings=settings, machine=request.machine
            )
            events = self.run(f"bench-{turn}", step, f"decode of the {which}")
            rows: list[BenchRow] = [event.row for event in events if isinstance(event, JobBenchRow)]
            samples[which] += [rate for row in rows for rate in row.samples_tps]
        return _with_rate(recipe, samples["recipe"]), _with_rate(stock, samples["stock"])


def _with_rate(of: Measured, samples: list[float]) -> Measured:
    return msgspec.structs.replace(of, decode_tps=mean(samples), decode_sd_tps=standard_deviation(samples))


def _read(path: Path, kind: type[T]) -> T:
    return msgspec.json.decode(path.read_bytes(), type=kind)


def _require_types(made: Path, plan: RecipePlan) -> None:
    """The file must hold what was chosen: llama.cpp falls back without failing."""
    types = {tensor.name: tensor.type.name for tensor in check_loadable(made).tensors}
    wrong = [name for name, kind in plan.overrides if types.get(name) != kind]
    if wrong:
        raise EdgetuiError(
            "unsupported",
            f"llama.cpp gave {len(wrong)} tensors another type than was chosen, first {wrong[0]} {types.get(wrong[0])}:"
            " the search does not hold for this model.",
        )


def _result(
    request: RecipeRequest,
    plan: RecipePlan,
    stock: StockPlan,
    recipe_figures: Measured,
    stock_figures: Measured,
    text_name: str,
) -> RecipeResult:
    settings = request.settings
    return RecipeResult(
        parent_name=request.source_name,
        target_bytes=settings.target_bytes,
        recipe=msgspec.structs.replace(recipe_figures, name=Path(request.target).name),
        stock=msgspec.structs.replace(stock_figures, name=stock.type_name),
        stock_type=stock.type_name,
        verdict=paired_verdict(recipe_figures.kl_chunks, stock_figures.kl_chunks),
        types=type_shares(plan.tensors),
        predicted_kl=plan.predicted_kl,
        predicted_stock_kl=stock.predicted_kl,
        overrides=plan.overrides,
        base_type=plan.base_type,
        imatrix=request.imatrix,
        text_name=text_name,
        context_tokens=settings.context_tokens,
        choosing_chunks=settings.choosing_chunks,
        recovered_from=request.recovered_from,
        wanted_tps=request.wanted_tps,
    )


def _told(result: RecipeResult) -> str:
    shares = ", ".join(f"{count} {name}" for name, count, _ in result.types)
    return f"{shares}; KL divergence {result.recipe.kl:.4f}, {result.stock_type} {result.stock.kl:.4f}"
