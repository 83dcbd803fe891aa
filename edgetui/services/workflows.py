"""What the toolchains make of a model: which workflows take it, what speaks against one, and starting the job."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, cast

import msgspec

from edgetui.core.failures import EdgetuiError
from edgetui.core.plain_text import plain_line
from edgetui.core.quant_types import is_quantized, name_for_type
from edgetui.core.units import format_bytes
from edgetui.core.workflows import WORKFLOWS, Workflow, takes, takes_text, workflow_name
from edgetui.formats.gguf import is_split_name
from edgetui.services.gguf_source import require_readable_gguf
from edgetui.worker.requests import WorkflowRequest
from edgetui.worker.spawn import toolchain_python

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgetui.config import Paths, Settings
    from edgetui.core.jobs import JobRecord
    from edgetui.core.models import ModelEntry
    from edgetui.core.workflows import AnyWorkflow
    from edgetui.services.jobs import Jobs

UNQUANTIZED_TYPES = ("", "FP32", "FP16", "BF16", "F32", "F16", "F64")
"""How the formats spell that nothing was lost."""


class Workflows:
    """Offers, checks and starts workflows."""

    def __init__(self, settings: Settings, paths: Paths, jobs: Jobs) -> None:
        self._settings = settings
        self._paths = paths
        self._jobs = jobs

    @staticmethod
    def for_model(entry: ModelEntry) -> tuple[type[Workflow], ...]:
        """Those that take a model, in the order of lists."""
        return tuple(workflow for workflow in WORKFLOWS if takes(workflow, entry.format, entry.quant_type))

    def default_target(self, entry: ModelEntry, settings: Workflow) -> Path:
        """Where the result goes unless the person says otherwise."""
        stem = entry.path.stem if settings.MAKES_FILE and entry.format == "gguf" else entry.name.replace("/", "-")
        name = name_for_type(stem, settings.suffix)
        return self._paths.models_dir / (f"{name}.gguf" if settings.MAKES == "gguf" else name)

    @staticmethod
    def caution(entry: ModelEntry, settings: Workflow) -> str | None:
        """What a person should know before, in one sentence; None when nothing speaks against it."""
        passed = passed_through(entry)
        if passed is None:
            return None
        if settings.type_name.upper() in UNQUANTIZED_TYPES:
            return (
                f"The weights of {entry.name} passed through {passed}: what is made of it is no better than that, and"
                " serves as a source for other toolchains."
            )
        return f"The weights of {entry.name} passed through {passed}: this loses quality a second time."

    async def checked_target(self, entry: ModelEntry, settings: Workflow, written: str) -> Path:
        """A name that was typed for the result as a path; raises `EdgetuiError`: `bad_request`, `exists`."""
        return await asyncio.to_thread(self._settle_target, entry, settings, Path(written))

    async def start(self, entry: ModelEntry, settings: AnyWorkflow, *, target: Path | None = None) -> JobRecord:
        """Start the job after every check that can be made before it.

        `target` may be an existing folder to put the result into. Raises `EdgetuiError`: `bad_file`, `unsupported`,
        `bad_request`, `exists`, `busy`, `no_space`, `no_permission`, `engine_missing`.
        """
        if entry.problem is not None:
            raise EdgetuiError("bad_file", entry.problem)
        if entry.format not in settings.TAKES:
            raise EdgetuiError("unsupported", _wrong_format(entry, settings))
        if entry.format == "gguf":
            await asyncio.to_thread(require_readable_gguf, entry, settings)
        if settings.TOOLCHAIN:
            await asyncio.to_thread(toolchain_python, self._paths.toolchains_dir, settings.TOOLCHAIN)
        target = await asyncio.to_thread(self._settle_target, entry, settings, target)
        for record in await self._jobs.list():
            if record.is_running and record.output == str(target):
                raise EdgetuiError("busy", f"Job {record.job_id} is already making {target}: wait for it or cancel it.")
        await asyncio.to_thread(self._require_room, target, entry.size_bytes)
        return await self._jobs.start(
            WorkflowRequest(
                source=str(entry.path),
                source_name=entry.name,
                source_format=entry.format,
                target=str(target),
                settings=settings,
                recovered_from=passed_through(entry),
            )
        )

    def _settle_target(self, entry: ModelEntry, settings: Workflow, target: Path | None) -> Path:
        default = self.default_target(entry, settings)
        named = target
        target = default if target is None else Path(os.path.expanduser(target)).absolute()
        try:
            if named is not None and target.is_dir():
                target /= default.name
            str(target).encode()
        except (OSError, UnicodeEncodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise EdgetuiError(
                "bad_request", f"The output {target} cannot be used ({reason}): name another."
            ) from error
        if settings.MAKES == "gguf" and (target.suffix != ".gguf" or is_split_name(target)):
            raise EdgetuiError("bad_request", f"The name {target.name} is none of a single GGUF file: end it in .gguf.")
        if target.name.startswith("."):
            raise EdgetuiError("bad_request", f"The name {target.name} is hidden: name it without a leading dot.")
        if os.path.lexists(target):
            raise EdgetuiError("exists", f"{target} is already there: remove it or name another.")
        return target

    def _require_room(self, target: Path, source_bytes: int) -> None:
        """The folder must take it, and the disk must keep its headroom if it comes out as large as its source."""
        folder = next(parent for parent in target.parents if parent.exists())
        if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
            raise EdgetuiError(
                "no_permission", f"The folder {folder} cannot be written: make it writable or name another folder."
            )
        free, headroom = shutil.disk_usage(folder).free, self._settings.disk_headroom_bytes
        if free < source_bytes + headroom:
            raise EdgetuiError(
                "no_space",
                f"{target.name} may take {format_bytes(source_bytes)} and {format_bytes(headroom)} shall stay free,"
                f" but {target.parent} has {format_bytes(free)} left: free some space, name another folder, or lower"
                " disk_headroom_bytes.",
            )


def passed_through(entry: ModelEntry) -> str | None:
    """The quantization type that a model's weights have passed through; None for one that lost nothing."""
    if entry.recovered_from is not None:
        return entry.recovered_from
    quant_type = entry.quant_type or ""
    if quant_type.upper() in UNQUANTIZED_TYPES or not is_quantized(quant_type):
        return None
    return quant_type


def workflow_settings(name: str, values: Mapping[str, str]) -> AnyWorkflow:
    """The settings of a workflow out of what a person typed; raises `EdgetuiError("bad_request")`."""
    import difflib

    by_name = {workflow_name(workflow): workflow for workflow in WORKFLOWS}
    workflow = by_name.get(name)
    if workflow is None:
        close = difflib.get_close_matches(name, by_name, n=1)
        advice = f"did you mean {close[0]}?" if close else f"there are {', '.join(by_name)}."
        raise EdgetuiError("bad_request", f"There is no workflow {plain_line(name)}; {advice}")
    unknown = next((key for key in values if key not in workflow.__struct_fields__), None)
    if unknown is not None:
        known = ", ".join(workflow.__struct_fields__) or "none"
        raise EdgetuiError("bad_request", f"{name} has no setting {plain_line(unknown)}; it has {known}.")
    try:
        # Not strict: what is typed is text, and msgspec reads numbers and booleans out of it.
        made = msgspec.convert(dict(values), workflow, strict=False)
    except (msgspec.ValidationError, ValueError) as error:
        reason, _, where = str(error).partition(" - at `$.")
        field = where.rstrip("`")
        note = workflow.FIELDS.get(field, ("", ""))[1]
        raise EdgetuiError(
            "bad_request",
            f"The value of {field or 'a setting'} cannot be used ({reason[:1].lower()}{reason[1:].replace('`', '')})"
            + (f": {note}." if note else "."),
        ) from error
    return cast("AnyWorkflow", made)


def _wrong_format(entry: ModelEntry, settings: Workflow) -> str:
    name, formats = workflow_name(settings), takes_text(settings)
    ways = [way for way in WORKFLOWS if entry.format in way.TAKES and way.MAKES in settings.TAKES]
    first = f": make {ways[0].MAKES} of it first ({workflow_name(ways[0])})" if ways else ""
    return f"{name} takes {formats} models, and {entry.name} is {entry.format}{first}."
