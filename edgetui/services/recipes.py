"""Searching the tensor types that lose least at a size, or at a decode rate, as a job."""

from __future__ import annotations

import asyncio
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edgetui.core.failures import EdgetuiError
from edgetui.core.ggml import TENSOR_TYPES
from edgetui.core.quality import EMBEDDED_TEXT, WIKITEXT
from edgetui.core.quant_types import is_quantized, name_for_type, quant_type_in_name
from edgetui.core.recipe_search import RecipeResult, RecipeSettings, parse_file_size, size_for_rate
from edgetui.core.tensor_errors import trial_of
from edgetui.core.units import format_bytes
from edgetui.formats.fingerprint import fingerprint
from edgetui.formats.gguf import check_loadable, is_split_name
from edgetui.formats.imatrix import read_imatrix
from edgetui.formats.model_shape import model_shape
from edgetui.formats.text_file import read_text
from edgetui.store.job_folder import JobFolder
from edgetui.worker.requests import RecipeRequest

if TYPE_CHECKING:
    from edgetui.config import Paths, Settings
    from edgetui.core.fit import ModelShape
    from edgetui.core.jobs import JobRecord
    from edgetui.core.models import ModelEntry
    from edgetui.services.bench import Bench
    from edgetui.services.jobs import Jobs
    from edgetui.services.quantizer import Quantizer
    from edgetui.services.speed import Speed

_RESULT = "recipe.json"
_FORECAST_TYPES = ("Q8_0", "Q6_K", "Q5_K", "Q5_0", "Q4_K", "Q4_0", "Q3_K", "Q2_K")
_TYPES = {kind.name: kind for kind in TENSOR_TYPES.values()}


@dataclass(frozen=True)
class SizeForRate:
    """What size a decode rate allows."""

    size_bytes: int
    because: str
    """From what that was worked out, in words."""


class Recipes:
    """Checks, translates and starts searches."""

    def __init__(
        self,
        settings: Settings,
        paths: Paths,
        jobs: Jobs,
        quantizer: Quantizer,
        bench: Bench,
        speed: Speed,
    ) -> None:
        self._settings = settings
        self._paths = paths
        self._jobs = jobs
        self._quantizer = quantizer
        self._bench = bench
        self._speed = speed

    def default_target(self, entry: ModelEntry, target_bytes: int) -> Path:
        """Where the result goes unless the person says otherwise."""
        size = format_bytes(target_bytes).replace(" ", "")
        return self._paths.models_dir / f"{name_for_type(entry.path.stem, f'recipe-{size}')}.gguf"

    async def start(
        self,
        entry: ModelEntry,
        settings: RecipeSettings,
        *,
        target: Path | None = None,
        imatrix: Path | None = None,
        wanted_tps: float | None = None,
    ) -> JobRecord:
        """Start the job after every check that can be made before it.

        Raises `EdgetuiError`: `bad_file`, `unsupported`, `bad_request` (also for a source that is quantized itself),
        `exists`, `busy`, `no_space`, `no_permission`, `not_found`.
        """
        _require_parent(entry)
        if settings.text not in (EMBEDDED_TEXT, WIKITEXT):
            # Before there is a job: what is wrong with it is said where it was named.
            await asyncio.to_thread(_require_text, Path(settings.text), settings)
        target, content = await asyncio.to_thread(self._settle, entry, settings, target)
        matrix, mark = await asyncio.to_thread(_matrix, imatrix)
        running = [record for record in await self._jobs.list() if record.is_running]
        for record in running:
            if record.output == str(target):
                raise EdgetuiError("busy", f"Job {record.job_id} is already making {target}: wait for it or cancel it.")
        if running and settings.bench:
            raise EdgetuiError(
                "busy",
                f"Job {running[0].job_id} ({running[0].kind} of {running[0].subject}) is running and would spoil the"
                " decode rates: wait for it, cancel it, or search without the benchmark (--no-bench).",
            )
        return await self._jobs.start(
            RecipeRequest(
                source=str(entry.path),
                source_name=entry.name,
                source_fingerprint=content,
                target=str(target),
                settings=settings,
                trial=trial_of(_engine_version(), mark, settings.most_weights),
                imatrix=matrix,
                recovered_from=entry.recovered_from,
                wanted_tps=wanted_tps,
                machine=await self._bench.machine(),
            )
        )

    async def result(self, job_id: str) -> RecipeResult:
        """What a search that is done has found; raises `EdgetuiError("not_found")`."""
        record = await self._jobs.get(job_id)
        path = JobFolder(self._paths.jobs_dir / record.job_id).path / _RESULT
        try:
            return msgspec.json.decode(await asyncio.to_thread(path.read_bytes), type=RecipeResult)
        except (OSError, msgspec.DecodeError) as error:
            raise EdgetuiError("not_found", f"Job {record.job_id} has no recipe: it is not done.") from error

    async def size_of(self, entry: ModelEntry, text: str) -> int:
        """What a person means by `90MiB` or, for the size that this type would have, `Q4_K_M`, in bytes.

        Raises `EdgetuiError("bad_request")`, and as a quantization's plan for a type.
        """
        try:
            return parse_file_size(text)
        except ValueError as error:
            if not quant_type_in_name(f"-{text.strip()}"):
                raise EdgetuiError("bad_request", f"The size cannot be used: {error}.") from error
        plan = await self._quantizer.startable_plan(entry, text.strip().upper())
        assert plan.size_bytes is not None
        return plan.size_bytes

    async def size_for(self, entry: ModelEntry, tps: float) -> SizeForRate:
        """The largest file that should decode so fast here: by rates measured of this model's types, else by forecast.

        Raises `EdgetuiError("bad_request")` where nothing was measured or calibrated, or no type is that fast.
        """
        points, because = await self._measured_points(entry), "measured decode rates of this model's types"
        if len(points) < 2:
            points, because = await self._forecast_points(entry), "the calibrated forecast"
        size = size_for_rate(points, tps)
        if size is None:
            fastest = max(1 / seconds for _, seconds in points)
            raise EdgetuiError(
                "bad_request",
                f"No type of {entry.name} decodes {tps:g} tok/s here by {because}: the fastest makes {fastest:.1f}.",
            )
        return SizeForRate(size, because)

    async def _measured_points(self, entry: ModelEntry) -> list[tuple[int, float]]:
        """Size and seconds a token of this model's quantized builds, the newest of each size."""
        points: dict[int, float] = {}
        for record in await self._bench.history():
            row = record.row
            if (
                row.test == "tg"
                and row.depth_tokens == 0
                and row.model_parameter_count == entry.parameter_count
                and row.kv_cache_type == self._settings.load.kv_cache_type
                and self._settings.load.threads in (0, row.threads)
                and is_quantized(row.model_quant_type)
            ):
                points.setdefault(row.model_size_bytes, 1 / row.mean_tps)
        return sorted(points.items())

    async def _forecast_points(self, entry: ModelEntry) -> list[tuple[int, float]]:
        """The same by the forecast of this machine's calibration."""
        shape = await asyncio.to_thread(lambda: model_shape(check_loadable(entry.path)))
        points = []
        reason = ""
        for name in _FORECAST_TYPES:
            found = await self._speed.forecast(as_type(shape, name), self._settings.load, quant_type=name)
            if found.value is None:
                reason = found.reason or ""
            else:
                size = shape.parameter_count * _TYPES[name].block_bytes // _TYPES[name].block_elements
                points.append((size, 1 / found.value.decode_tps))
        if not points:
            raise EdgetuiError(
                "bad_request",
                f"Nothing tells how fast {entry.name} would be ({reason}): calibrate with `edgetui calibrate`, measure"
                " two of its types with `edgetui bench`, or name a size.",
            )
        return sorted(points)

    def _settle(self, entry: ModelEntry, settings: RecipeSettings, target: Path | None) -> tuple[Path, str]:
        header = check_loadable(entry.path)
        if settings.choosing_chunks and len(header.parts) > 1:
            raise EdgetuiError(
                "unsupported",
                f"{entry.name} is split, and sensitivities are measured in one file only: search with"
                " --choosing-chunks 0, or make one file of it.",
            )
        default = self.default_target(entry, settings.target_bytes)
        target = default if target is None else Path(os.path.expanduser(target)).absolute()
        if target.is_dir():
            target /= default.name
        if target.suffix != ".gguf" or is_split_name(target):
            raise EdgetuiError("bad_request", f"The name {target.name} is none of a single GGUF file: end it in .gguf.")
        if os.path.lexists(target):
            raise EdgetuiError("exists", f"{target} is already there: remove it or name another file.")
        folder = next(parent for parent in target.parents if parent.exists())
        if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
            raise EdgetuiError(
                "no_permission", f"The folder {folder} cannot be written: make it writable or name another folder."
            )
        needed = 2 * settings.target_bytes + (entry.size_bytes if settings.choosing_chunks else 0)
        free, headroom = shutil.disk_usage(folder).free, self._settings.disk_headroom_bytes
        if free < needed + headroom:
            raise EdgetuiError(
                "no_space",
                f"The search takes {format_bytes(needed)} on the way and {format_bytes(headroom)} shall stay free, but"
                f" {target.parent} has {format_bytes(free)} left: free some space or name another folder.",
            )
        return target, entry.fingerprint or fingerprint(entry.parts)


def as_type(shape: ModelShape, name: str) -> ModelShape:
    """The shape with its matrices in another type."""
    from edgetui.core.fit import WeightsRead

    kind = _TYPES[name]
    read = tuple(
        part
        if part.type_name == "F32"
        else WeightsRead(name, part.weights, part.weights * kind.block_bytes // kind.block_elements)
        for part in shape.read_per_token
    )
    return msgspec.structs.replace(shape, read_per_token=read)


def _require_parent(entry: ModelEntry) -> None:
    if entry.problem is not None:
        raise EdgetuiError("bad_file", entry.problem)
    if entry.format != "gguf":
        raise EdgetuiError(
            "unsupported",
            f"{entry.name} is a {entry.format} model, and recipes are searched for GGUF files only: convert it first.",
        )
    if entry.quant_type is None or is_quantized(entry.quant_type):
        raise EdgetuiError(
            "bad_request",
            f"{entry.name} is already quantized ({entry.quant_type}), and a search needs the unquantized model: take"
            " that, or recover an F16 of this one first (`edgetui quantize MODEL F16 --yes`).",
        )


def _require_text(path: Path, settings: RecipeSettings) -> None:
    """Refuse a text that cannot be long enough however it is cut into tokens; the search counts them exactly."""
    size, chunks = len(read_text(path).encode()), settings.choosing_chunks + settings.chunks
    if size < chunks * settings.context_tokens:
        raise EdgetuiError(
            "bad_request",
            f"{path.name} has {size} bytes, too few for {chunks} chunks of {settings.context_tokens} tokens: take a"
            " longer text, fewer chunks or a smaller context.",
        )


def _matrix(imatrix: Path | None) -> tuple[str, str]:
    """Path and content of an importance matrix; raises `EdgetuiError` for what is none."""
    if imatrix is None:
        return "", ""
    path = Path(os.path.expanduser(imatrix)).absolute()
    read_imatrix(path)
    return str(path), fingerprint((path,))


def _engine_version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("llama-cpp-python")
    except PackageNotFoundError:
        return "none"
