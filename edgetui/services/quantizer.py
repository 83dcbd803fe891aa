"""Quantizing a model: what each type would give, what speaks against it, and starting the job."""

from __future__ import annotations

import asyncio
import os
import shutil
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgetui.core.failures import EdgetuiError
from edgetui.core.quant_options import QuantOptions
from edgetui.core.quant_types import is_quantized, name_for_type
from edgetui.core.units import format_bytes
from edgetui.formats.gguf import is_split_name
from edgetui.worker.protocol import PlanQuantization, QuantizationPlan
from edgetui.worker.requests import QuantizeRequest
from edgetui.worker.session import session_worker

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from edgetui.config import Paths, Settings
    from edgetui.core.jobs import JobRecord
    from edgetui.core.models import ModelEntry
    from edgetui.services.catalog import Catalog
    from edgetui.services.jobs import Jobs
    from edgetui.worker.requests import Request


FileMark = tuple[str, int, int]
"""Path, size and time of change: another file under the same name is another file."""
_Asked = tuple[FileMark, QuantOptions, FileMark | None]
"""Model, options, and the importance matrix among them."""
USUAL = QuantOptions()


@dataclass(frozen=True)
class Caution:
    """What a person should know before a quantization."""

    sentence: str
    brief: str
    """The same in a few words."""
    needs_yes: bool
    """Whether it may only start after an explicit yes."""


class Quantizer:
    """Predicts and starts quantizations."""

    def __init__(self, settings: Settings, paths: Paths, jobs: Jobs, catalog: Catalog) -> None:
        self._settings = settings
        self._paths = paths
        self._jobs = jobs
        self._catalog = catalog
        self._known: dict[_Asked, dict[str, QuantizationPlan]] = {}
        self._complete: set[_Asked] = set()

    async def plan(
        self, entry: ModelEntry, type_names: Sequence[str] = (), options: QuantOptions = USUAL
    ) -> AsyncGenerator[QuantizationPlan, None]:
        """What each type would make of a model by llama.cpp's own dry run, all that it knows when none is named.

        Each comes as soon as it is known; what was found before for the same files and options is not asked again.
        Raises `EdgetuiError`: `bad_file`, `not_found`, `unsupported`, `bad_request` for a type that does not exist,
        for options that do not suit the model and for an importance matrix of another one.
        """
        asked = await asyncio.to_thread(_marks, entry, options)
        known = self._known.setdefault(asked, {})
        if asked in self._complete or (type_names and all(name in known for name in type_names)):
            for name in type_names or list(known):
                yield known[name]
            return
        command = PlanQuantization(path=str(entry.path), type_names=tuple(type_names), options=options)
        async with (
            session_worker(self._paths.log_dir) as worker,
            aclosing(worker.request(command)) as events,
        ):
            async for event in events:
                if isinstance(event, QuantizationPlan):
                    known[event.type_name] = event
                    yield event
        if not type_names:
            self._complete.add(asked)

    def caution(self, entry: ModelEntry, type_name: str, options: QuantOptions = USUAL) -> Caution | None:
        """What speaks against making this type of this model; None when nothing does."""
        caution = self._caution_of_source(entry, type_name)
        if not options.is_experiment:
            return caution
        layers = ", ".join(map(str, options.prune_layers))
        sentence = (
            f"Leaving out layers ({layers}) is an experiment: nothing mends what they did for the layers after them, so"
            " the model gets much worse."
        )
        return Caution(
            sentence if caution is None else f"{sentence} {caution.sentence}",
            "experiment: layers are left out, so the model gets much worse",
            needs_yes=True,
        )

    def _caution_of_source(self, entry: ModelEntry, type_name: str) -> Caution | None:
        if entry.quant_type is not None and is_quantized(entry.quant_type):
            brief = f"the source is already quantized ({entry.quant_type})"
            if is_quantized(type_name):
                return Caution(
                    f"{entry.name} is already quantized ({entry.quant_type}): {type_name} made of it loses quality a"
                    " second time; an unquantized source gives a better model.",
                    f"{brief}: quality is lost twice",
                    needs_yes=True,
                )
            return Caution(
                f"{entry.name} is quantized ({entry.quant_type}): {type_name} made of it takes more room and wins"
                " no quality back; it serves as a source for other types.",
                f"{brief}: no quality comes back",
                needs_yes=True,
            )
        if entry.recovered_from is not None:
            return Caution(
                f"The weights of {entry.name} passed through {entry.recovered_from}: what is made of it is no better"
                " than that.",
                f"its weights passed through {entry.recovered_from}: the result is no better than that",
                needs_yes=False,
            )
        return None

    def default_target(self, entry: ModelEntry, type_name: str, options: QuantOptions = USUAL) -> Path:
        """Where the result goes unless the person says otherwise; of files that keep a split, without their numbers."""
        return self._paths.models_dir / f"{name_for_type(entry.path.stem, type_name, options.tag)}.gguf"

    async def free_bytes(self) -> int:
        """Room on the disk of the models folder."""

        def free() -> int:
            return shutil.disk_usage(_existing(self._paths.models_dir)).free

        return await asyncio.to_thread(free)

    async def startable_plan(
        self, entry: ModelEntry, type_name: str, options: QuantOptions = USUAL
    ) -> QuantizationPlan:
        """The plan of a type that can be started; raises `EdgetuiError` for one that cannot, as `start` would."""
        async with aclosing(self.plan(entry, (type_name,), options)) as plans:
            found = await anext(plans)
        if found.problem is not None:
            raise EdgetuiError("unsupported", found.problem)
        if found.needs_imatrix:
            raise EdgetuiError(
                "unsupported",
                f"{type_name} needs an importance matrix (imatrix) for {entry.name}: make one with --imatrix make, name"
                " its file, or take another type.",
            )
        return found

    async def checked_target(self, entry: ModelEntry, type_name: str, options: QuantOptions, written: str) -> Path:
        """A name that was typed for the result as a path; raises `EdgetuiError`: `bad_request`, `exists`."""

        def check() -> Path:
            target = self._settle_target(Path(written), self.default_target(entry, type_name, options))
            _require_free_names((target,))
            return target

        return await asyncio.to_thread(check)

    async def start(
        self,
        entry: ModelEntry,
        type_name: str,
        *,
        target: Path | None = None,
        allow_requantize: bool = False,
        threads: int = 0,
        options: QuantOptions = USUAL,
    ) -> JobRecord:
        """Start the job after every check that can be made before it.

        `target` may be a folder. Raises `EdgetuiError`: `bad_file`, `not_found`, `unsupported`, `bad_request` (also
        for a quantized source without `allow_requantize`), `exists`, `busy`, `no_space`, `no_permission`.
        """
        plan = await self.startable_plan(entry, type_name, options)
        caution = self.caution(entry, type_name, options)
        if caution is not None and caution.needs_yes and not allow_requantize:
            raise EdgetuiError("bad_request", f"{caution.sentence} It starts only after an explicit yes.")
        target = await asyncio.to_thread(self._settle_target, target, self.default_target(entry, type_name, options))
        passed_through = entry.recovered_from
        if passed_through is None and entry.quant_type is not None and is_quantized(entry.quant_type):
            passed_through = entry.quant_type
        request = QuantizeRequest(
            source=str(entry.path),
            target=str(target),
            type_name=type_name,
            options=options,
            file_count=plan.file_count,
            allow_requantize=allow_requantize,
            threads=threads,
            predicted_bytes=plan.size_bytes,
            source_tensor_bytes=plan.source_tensor_bytes,
            parent_name=entry.name,
            recovered_from=passed_through,
        )
        await asyncio.to_thread(_require_free_names, request.targets)
        await require_unmade(self._jobs, request)
        await asyncio.to_thread(self._require_room, target, plan.size_bytes or 0)
        return await self._jobs.start(request)

    def _settle_target(self, target: Path | None, default: Path) -> Path:
        target = default if target is None else Path(os.path.expanduser(target)).absolute()
        try:
            if target.is_dir():
                target /= default.name
            str(target).encode()
        except (OSError, UnicodeEncodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise EdgetuiError(
                "bad_request", f"The output {target} cannot be used ({reason}): name another."
            ) from error
        if target.suffix != ".gguf":
            raise EdgetuiError("bad_request", f"The name {target.name} does not end in .gguf: name the file so.")
        if is_split_name(target):
            raise EdgetuiError(
                "bad_request", f"The name {target.name} says that it is one of several files: name it otherwise."
            )
        return target

    def _require_room(self, target: Path, predicted_bytes: int) -> None:
        """The folder must take a file, and the disk must keep its headroom after it."""
        folder = target.parent
        existing = _existing(folder)
        if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
            raise EdgetuiError(
                "no_permission", f"The folder {existing} cannot be written: make it writable or name another folder."
            )
        free = shutil.disk_usage(existing).free
        headroom = self._settings.disk_headroom_bytes
        if free < predicted_bytes + headroom:
            raise EdgetuiError(
                "no_space",
                f"{target.name} takes {format_bytes(predicted_bytes)} and {format_bytes(headroom)} shall stay free,"
                f" but {folder} has {format_bytes(free)} left: free some space, name another folder, or lower"
                " disk_headroom_bytes.",
            )


def _existing(folder: Path) -> Path:
    """The folder itself, or the closest above it that is there."""
    return next(parent for parent in (folder, *folder.parents) if parent.exists())


async def require_unmade(jobs: Jobs, request: Request) -> None:
    """Raises `EdgetuiError("busy")` where a running job makes the same file."""
    for record in await jobs.list():
        if record.is_running and record.output == request.output:
            raise EdgetuiError(
                "busy", f"Job {record.job_id} is already making {request.output}: wait for it or cancel it."
            )


def _require_free_names(targets: Sequence[Path]) -> None:
    for target in targets:
        if os.path.lexists(target):
            raise EdgetuiError("exists", f"{target} is already there: remove it or name another file.")


def _marks(entry: ModelEntry, options: QuantOptions) -> _Asked:
    """What tells this question from any other; raises `EdgetuiError` for files that cannot be used."""
    matrix = None
    mark = require_usable(entry)
    if options.imatrix:
        try:
            status = os.stat(options.imatrix)
        except OSError as error:
            raise EdgetuiError(
                "not_found", f"The importance matrix {options.imatrix} cannot be read ({error.strerror})."
            ) from error
        matrix = (options.imatrix, status.st_size, status.st_mtime_ns)
    return mark, options, matrix


def require_usable(entry: ModelEntry) -> FileMark:
    """Refuse what cannot be a source; returns what tells this very file from any other."""
    if entry.problem is not None:
        raise EdgetuiError("bad_file", entry.problem)
    if entry.format != "gguf":
        raise EdgetuiError(
            "unsupported",
            f"{entry.name} is a {entry.format} model, and llama.cpp quantizes GGUF files only: convert it first.",
        )
    try:
        str(entry.path).encode()
        status = entry.path.stat()
    except UnicodeEncodeError as error:
        raise EdgetuiError("bad_file", f"The file name of {entry.name} is not valid text: rename the file.") from error
    except OSError as error:
        raise EdgetuiError("not_found", f"The file {entry.path} cannot be read ({error.strerror}).") from error
    return str(entry.path), status.st_size, status.st_mtime_ns
