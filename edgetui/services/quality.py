"""Measuring how much a build of a model has lost: find what to compare it with, start the job, keep what it found."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edgetui.core.failures import EdgetuiError
from edgetui.core.quality import EMBEDDED_TEXT, TASK_CONTEXT_TOKENS, WIKITEXT, MeasuredModel
from edgetui.core.quant_types import is_quantized
from edgetui.core.toolchains import ENGINE_TOOLCHAIN
from edgetui.formats.text_file import read_text
from edgetui.services.signals import Signal
from edgetui.store.evaluations import Evaluations
from edgetui.worker.requests import QualityRequest
from edgetui.worker.spawn import toolchain_python

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetui.config import Paths, Settings
    from edgetui.core.jobs import JobRecord
    from edgetui.core.models import ModelEntry
    from edgetui.core.quality import QualityRecord, QualitySettings
    from edgetui.services.catalog import Catalog
    from edgetui.services.jobs import Jobs
    from edgetui.store.database import Database
    from edgetui.worker.job_events import JobFailed, JobSucceeded

MEASURED_FORMATS = ("gguf", "onnx", "mlx")
"""Those whose engines give logits."""


class Quality:
    """Perplexity, divergence from the unquantized parent, and tasks; a row is in the history once it is measured."""

    def __init__(self, settings: Settings, paths: Paths, jobs: Jobs, catalog: Catalog, database: Database) -> None:
        self._settings = settings
        self._paths = paths
        self._jobs = jobs
        self._catalog = catalog
        self._evaluations = Evaluations(database)
        self.changed: Signal[None] = Signal()
        """Published when this process knows of a new row, or removed one."""

    async def base_of(self, entry: ModelEntry) -> ModelEntry | None:
        """The unquantized model here that an engine runs and that this one was made of, by provenance.

        Where the parent itself is in a format that no engine runs (safetensors), an unquantized build of it is as good.
        None when nothing here is known to be either.
        """
        entries = await self._catalog.scan()
        return unquantized_parent(entry, entries)

    async def start(self, entry: ModelEntry, base: ModelEntry | None, settings: QualitySettings) -> JobRecord:
        """Measure a model in a job, beside `base` where one is named; raises `EdgetuiError` as `check` does."""
        settings = await asyncio.to_thread(self.check, entry, base, settings)
        return await self._jobs.start(
            QualityRequest(
                model=MeasuredModel.of(entry),
                base=None if base is None else MeasuredModel.of(base),
                settings=settings,
                baselines=str(self._paths.baselines_dir),
                headroom_bytes=self._settings.disk_headroom_bytes,
            )
        )

    def check(self, entry: ModelEntry, base: ModelEntry | None, settings: QualitySettings) -> QualitySettings:
        """Raise `EdgetuiError` for what can never be measured; gives the settings with the text's whole path.

        `bad_file`, `unsupported` for a format that no engine runs, `engine_missing`, `bad_request` for a context beyond
        the trained one, and as `read_text`.
        """
        for model in (entry, *(() if base is None else (base,))):
            if model.problem:
                raise EdgetuiError("bad_file", model.problem)
            if model.format not in MEASURED_FORMATS:
                raise EdgetuiError(
                    "unsupported",
                    f"{model.name} is in the {model.format} format, which no engine here runs: convert it to GGUF,"
                    " ONNX or MLX first.",
                )
            if model.context_length and settings.context_tokens > model.context_length:
                raise EdgetuiError(
                    "bad_request",
                    f"{model.name} was trained for {model.context_length} tokens of context, not for"
                    f" {settings.context_tokens}: beyond the trained context figures mean nothing.",
                )
            if settings.tasks and model is entry and 0 < (model.context_length or 0) < TASK_CONTEXT_TOKENS:
                raise EdgetuiError(
                    "bad_request",
                    f"{model.name} was trained for {model.context_length} tokens of context and the built-in tasks take"
                    f" {TASK_CONTEXT_TOKENS}: leave the tasks out.",
                )
            if toolchain := ENGINE_TOOLCHAIN[model.format]:
                toolchain_python(self._paths.toolchains_dir, toolchain)
        if settings.text in (EMBEDDED_TEXT, WIKITEXT):
            return settings
        path = Path(os.path.expanduser(settings.text)).absolute()
        read_text(path)
        return msgspec.structs.replace(settings, text=str(path))

    async def follow(self, job_id: str) -> JobSucceeded | JobFailed:
        """Publish `changed` when a job's row comes; gives the job's last event."""
        return await self._jobs.follow_rows(job_id, self.changed)

    async def history(self) -> list[QualityRecord]:
        """Every row measured here, newest first; one that is damaged is left out."""
        return await asyncio.to_thread(self._evaluations.records)

    async def remove(self, record_ids: Sequence[int]) -> int:
        """Forget rows; returns how many there were."""
        count = await asyncio.to_thread(self._evaluations.remove, record_ids)
        self.changed.publish(None)
        return count


def unquantized_parent(entry: ModelEntry, entries: Sequence[ModelEntry]) -> ModelEntry | None:
    """The first of the models that it was made of, or of their other builds, that is a fair thing to compare with."""
    by_name = {each.name: each for each in entries}
    seen = {entry.name}
    parent = entry.parent
    while parent is not None and parent not in seen:
        seen.add(parent)
        ancestor = by_name.get(parent)
        builds = [each for each in entries if each.parent == parent and each.name != entry.name]
        # llama.cpp is everyone's yardstick, so its build comes before other toolchains'.
        builds.sort(key=lambda each: MEASURED_FORMATS.index(each.format) if each.format in MEASURED_FORMATS else 9)
        for candidate in builds if ancestor is None else [ancestor, *builds]:
            if _is_yardstick(candidate):
                return candidate
        parent = None if ancestor is None else ancestor.parent
    return None


def _is_yardstick(entry: ModelEntry) -> bool:
    if entry.problem is not None or entry.format not in MEASURED_FORMATS:
        return False
    kind = entry.quant_type
    # ONNX builds are named by their precision.
    return kind is not None and (not is_quantized(kind) or (entry.format == "onnx" and kind.startswith(("fp", "bf"))))
