"""Tensors of a model: what they are, what quantizing did to each, and what another type would do."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from edgetui.core.failures import EdgetuiError
from edgetui.core.quant_options import WRITABLE_TYPES, TensorOverride
from edgetui.core.quant_types import is_quantized
from edgetui.core.tensor_errors import trial_of
from edgetui.formats.fingerprint import fingerprint
from edgetui.services.signals import Signal
from edgetui.store.tensor_errors import TensorErrors
from edgetui.worker.job_events import JobFailed, JobProgress
from edgetui.worker.requests import TensorErrorsRequest

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence
    from pathlib import Path

    from edgetui.core.jobs import JobRecord
    from edgetui.core.models import ModelEntry, TensorItem
    from edgetui.core.tensor_errors import TensorError
    from edgetui.services.catalog import Catalog
    from edgetui.services.jobs import Jobs
    from edgetui.store.database import Database

TRIED_WEIGHTS = 1024**2
"""Of a tensor whose other types are tried while a person waits: some types take a second for 100,000 weights."""
_SLOW_TYPES = ("IQ3_XXS", "IQ3_S", "IQ2_S", "IQ2_XS", "IQ2_XXS", "IQ1_M", "IQ1_S")
"""Tried last: ggml searches a grid for them."""
TRIED_TYPES = (*(name for name in WRITABLE_TYPES if name not in _SLOW_TYPES), *_SLOW_TYPES)


class Tensors:
    """Reads, measures and keeps; overrides that a person sets are kept for as long as edgetui runs."""

    def __init__(self, jobs: Jobs, catalog: Catalog, database: Database) -> None:
        self._jobs = jobs
        self._catalog = catalog
        self._store = TensorErrors(database)
        self._overrides: dict[Path, tuple[TensorOverride, ...]] = {}
        self.overridden: Signal[Path] = Signal()
        """The model of which overrides were set."""

    async def items(self, entry: ModelEntry) -> tuple[TensorItem, ...]:
        """Every tensor in the file's order; raises `EdgetuiError`: `bad_file`, `unsupported`."""
        _require_gguf(entry)
        return (await self._catalog.details(entry)).tensors

    async def parent_of(self, entry: ModelEntry) -> ModelEntry | None:
        """The model that this one was made of, as far as it is still here under its name."""
        if entry.parent is None:
            return None
        entries = self._catalog.entries or tuple(await self._catalog.scan())
        return next((each for each in entries if each.name == entry.parent and each.is_gguf), None)

    async def require_parent(self, entry: ModelEntry, name: str | None = None) -> ModelEntry:
        """The parent by name, or by what is known of the model; raises `EdgetuiError`: `not_found`, `bad_request`."""
        parent = await self._catalog.find(name) if name else await self.parent_of(entry)
        if parent is None:
            known = f", which was {entry.parent}, is not here any more" if entry.parent else " is not known"
            raise EdgetuiError(
                "not_found", f"The parent of {entry.name}{known}: name the unquantized model to compare it with."
            )
        _require_gguf(parent)
        if parent.path == entry.path:
            raise EdgetuiError("bad_request", f"{entry.name} cannot be compared with itself: name another parent.")
        return parent

    async def errors(self, entry: ModelEntry, parent: ModelEntry) -> list[TensorError]:
        """What has been measured of a model against a parent."""

        def known() -> list[TensorError]:
            return self._store.of(_content(parent), _content(entry))

        return await asyncio.to_thread(known)

    async def start(self, entry: ModelEntry, parent: ModelEntry) -> JobRecord:
        """Measure every tensor in a job; raises `EdgetuiError`: `bad_file`, `unsupported`, `busy`."""
        _require_gguf(entry)
        _require_gguf(parent)
        parent_content, content = await asyncio.to_thread(lambda: (_content(parent), _content(entry)))
        await self._refuse_twice("errors", entry.name)
        return await self._jobs.start(
            TensorErrorsRequest(
                model=str(entry.path),
                model_name=entry.name,
                parent=str(parent.path),
                parent_fingerprint=parent_content,
                made_by=content,
            )
        )

    async def trials(self, entry: ModelEntry, tensor: str) -> list[TensorError]:
        """What is known of a tensor's errors in other types, the least error first."""

        def known() -> list[TensorError]:
            return self._store.of(_content(entry), _trial(), tensor)

        return sorted(await asyncio.to_thread(known), key=lambda error: error.relative or 0.0)

    async def try_types(
        self, entry: ModelEntry, tensor: str, types: Sequence[str] = TRIED_TYPES
    ) -> AsyncGenerator[list[TensorError], None]:
        """Quantize a tensor of a model to each type in memory; what is known so far, each time that there is more.

        Leaving the iteration ends the work. Raises `EdgetuiError` as `start`, and what the work fails with.
        """
        _require_gguf(entry)
        content = await asyncio.to_thread(_content, entry)
        record = await self._jobs.start(
            TensorErrorsRequest(
                model=str(entry.path),
                model_name=entry.name,
                parent=str(entry.path),
                parent_fingerprint=content,
                made_by=_trial(),
                tensors=(tensor,),
                types=tuple(types),
                most_weights=TRIED_WEIGHTS,
            )
        )
        try:
            async with aclosing(self._jobs.watch(record.job_id)) as events:
                async for event in events:
                    if isinstance(event, JobFailed):
                        raise EdgetuiError.of(event.failure)
                    if isinstance(event, JobProgress):
                        yield await self.trials(entry, tensor)
            yield await self.trials(entry, tensor)
        finally:
            # What it found is in the database; as a job there is nothing more to tell of it.
            await self._forget(record.job_id)

    def overrides(self, entry: ModelEntry) -> tuple[TensorOverride, ...]:
        """Types that a person wants for tensors when this model is quantized."""
        return self._overrides.get(entry.path, ())

    def set_overrides(self, entry: ModelEntry, overrides: tuple[TensorOverride, ...]) -> None:
        """Remember them for the Quantize screen."""
        self._overrides[entry.path] = overrides
        self.overridden.publish(entry.path)

    async def follow(self, job_id: str, on_progress: Callable[[JobProgress], None]) -> None:
        """Until a measurement ends; raises the `EdgetuiError` that it failed with."""
        async with aclosing(self._jobs.watch(job_id)) as events:
            async for event in events:
                if isinstance(event, JobProgress):
                    on_progress(event)
                elif isinstance(event, JobFailed):
                    raise EdgetuiError.of(event.failure)

    async def _refuse_twice(self, goal: str, name: str) -> None:
        for record in await self._jobs.list():
            if record.is_running and record.kind == "tensors" and (record.goal, record.subject) == (goal, name):
                raise EdgetuiError("busy", f"Job {record.job_id} measures {name} already: wait for it or cancel it.")

    async def _forget(self, job_id: str) -> None:
        record = await self._jobs.get(job_id)
        if record.is_running:
            await self._jobs.cancel(job_id)
        await self._jobs.remove(job_id)


def what_to_try(entry: ModelEntry, parent: ModelEntry | None) -> ModelEntry:
    """The model whose weights tell what another type would do: the parent, or the model itself without one."""
    return parent if parent is not None and entry.quant_type is not None and is_quantized(entry.quant_type) else entry


def _trial() -> str:
    try:
        engine = version("llama-cpp-python")
    except PackageNotFoundError:
        engine = "none"
    return trial_of(engine, most_weights=TRIED_WEIGHTS)


def _content(entry: ModelEntry) -> str:
    return entry.fingerprint or fingerprint(entry.parts)


def _require_gguf(entry: ModelEntry) -> None:
    if entry.problem is not None:
        raise EdgetuiError("bad_file", entry.problem)
    if entry.format != "gguf":
        raise EdgetuiError(
            "unsupported",
            f"{entry.name} is a {entry.format} model, and tensors are compared in GGUF files only: convert it first.",
        )
