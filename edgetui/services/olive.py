"""Olive's workflows as JSON: out of templates, as a person saved them, what Olive thinks of one, and running it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edgetui.core.failures import EdgetuiError
from edgetui.core.olive_config import config_of, config_text, line_of, read_config, with_model
from edgetui.core.olive_footprint import FOOTPRINT_FILE, PassRow
from edgetui.core.plain_text import plain_line
from edgetui.core.workflows import WORKFLOWS
from edgetui.core.workflows.olive import OliveCustom, OliveWorkflow
from edgetui.formats.final_name import refuse_existing
from edgetui.store.olive_cache import OliveCache
from edgetui.worker.spawn import WORKING_DIRECTORY, interpreter_command, toolchain_environment, toolchain_python

if TYPE_CHECKING:
    from edgetui.config import Paths
    from edgetui.core.jobs import JobRecord
    from edgetui.core.models import ModelEntry
    from edgetui.services.jobs import Jobs
    from edgetui.services.workflows import Workflows

TOOLCHAIN = "olive"
CHECK_LIMIT_S = 180.0
"""Olive's imports alone take seconds, and on a board that is busy, a minute."""
_MOST_NAME_BYTES = 100


@dataclass(frozen=True)
class SavedWorkflow:
    """A workflow that a person saved."""

    name: str
    path: Path


class Olive:
    """Templates, saved workflows, and what came of them."""

    def __init__(self, paths: Paths, jobs: Jobs, workflows: Workflows) -> None:
        self._paths = paths
        self._jobs = jobs
        self._workflows = workflows
        self._cache = OliveCache(paths.state_dir)
        self.folder = paths.data_dir / "olive"
        """Where workflows are saved."""

    @staticmethod
    def templates() -> tuple[type[OliveWorkflow], ...]:
        """The workflows that are there from the start, in the order of lists."""
        return tuple(
            workflow for workflow in WORKFLOWS if issubclass(workflow, OliveWorkflow) and workflow is not OliveCustom
        )

    async def saved(self) -> tuple[SavedWorkflow, ...]:
        """What was saved, by name."""

        def look() -> tuple[SavedWorkflow, ...]:
            return tuple(SavedWorkflow(path.stem, path) for path in sorted(self.folder.glob("*.json")))

        return await asyncio.to_thread(look)

    @staticmethod
    def text_of(settings: OliveWorkflow, entry: ModelEntry) -> str:
        """The JSON that settings become for a model."""
        return config_text(config_of(settings, _model_path(entry), len(_processors())))

    async def read(self, name: str) -> str:
        """The JSON of a saved workflow, or of a file; raises `EdgetuiError`: `not_found`, `bad_request`."""
        path = await asyncio.to_thread(self._find, name)
        try:
            return await asyncio.to_thread(path.read_text, encoding="utf-8")
        except UnicodeDecodeError as error:
            raise EdgetuiError(
                "bad_request", f"The workflow {path.name} is no UTF-8 text: name a JSON file."
            ) from error
        except OSError as error:
            raise EdgetuiError("not_found", f"The workflow {path} cannot be read ({error.strerror}).") from error

    async def save(self, name: str, text: str, *, replace: bool = False) -> SavedWorkflow:
        """Save a workflow under a name; raises `EdgetuiError`: `bad_request`, `exists`, `no_permission`, `no_space`."""
        name = name.strip().removesuffix(".json")
        if not name or len(name.encode("utf-8", "replace")) > _MOST_NAME_BYTES or not _is_file_name(name):
            raise EdgetuiError(
                "bad_request", f"{plain_line(name)!r} cannot be the name of a workflow: take letters, digits, - and _."
            )
        read_config(text, name)
        return await asyncio.to_thread(self._save, name, text, replace)

    async def check(self, text: str, name: str) -> None:
        """Ask Olive itself; raises `EdgetuiError("bad_request")`, naming the line, for what it does not accept.

        Raises also `engine_missing` where the toolchain is not installed, `crashed` where it does not answer.
        """
        config = read_config(text, name)
        found = await self._ask(json.dumps(config))
        if found.message:
            line = line_of(text, found.path)
            raise EdgetuiError("bad_request", f"{name}, line {line}, is not accepted: {plain_line(found.message)}.")

    async def run(
        self, entry: ModelEntry, file: str, *, allow_hub: bool = False, target: Path | None = None
    ) -> JobRecord:
        """Start a saved workflow, or a file's, on a model; raises as `read`, `read_config` and `Workflows.start`."""
        path = await asyncio.to_thread(self._find, file)
        read_config(await self.read(str(path)), path.name)
        return await self._workflows.start(entry, OliveCustom(file=str(path), allow_hub=allow_hub), target=target)

    async def footprint(self, of: str) -> tuple[PassRow, ...]:
        """The passes of a model that Olive made, or of the job that made it; raises `EdgetuiError("not_found")`."""
        folder = await asyncio.to_thread(lambda: Path(of).expanduser())
        if not await asyncio.to_thread(folder.is_dir):
            record = await self._jobs.get(of)
            if record.output is None:
                raise EdgetuiError("not_found", f"Job {record.job_id} is none of Olive's: name one that made a model.")
            folder = Path(record.output)

        def look() -> tuple[PassRow, ...]:
            path = folder / FOOTPRINT_FILE
            try:
                return msgspec.json.decode(path.read_bytes(), type=tuple[PassRow, ...])
            except OSError as error:
                raise EdgetuiError(
                    "not_found", f"{folder} has no footprint of Olive: name a model that a workflow of Olive made."
                ) from error
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise EdgetuiError("bad_file", f"The footprint {path} is damaged: make the model anew.") from error

        return await asyncio.to_thread(look)

    async def cache_bytes(self) -> int:
        """What Olive's cache takes on disk."""
        return await asyncio.to_thread(self._cache.size_bytes)

    async def clear_cache(self) -> int:
        """Remove it and say how many bytes it was; raises `EdgetuiError`: `busy`, `no_permission`."""
        return await asyncio.to_thread(self._cache.clear)

    # --- how ----------------------------------------------------------------------------------------------

    def _find(self, name: str) -> Path:
        saved = self.folder / f"{name}.json"
        if _is_file_name(name) and saved.is_file():
            return saved
        path = Path(os.path.expanduser(name)).absolute()
        if not path.is_file():
            known = ", ".join(each.stem for each in sorted(self.folder.glob("*.json"))) or "none"
            raise EdgetuiError(
                "not_found", f"There is no workflow {plain_line(name)}: name a JSON file, or a saved one ({known})."
            )
        return path

    def _save(self, name: str, text: str, replace: bool) -> SavedWorkflow:
        path = self.folder / f"{name}.json"
        if not replace:
            refuse_existing(path)
        new = self.folder / f".{name}.{os.getpid()}.new"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            new.write_text(text, encoding="utf-8")
            new.replace(path)
        except OSError as error:
            with suppress(OSError):
                new.unlink(missing_ok=True)
            raise EdgetuiError(
                "no_permission", f"The workflow {path} cannot be written ({error.strerror}): free it or make room."
            ) from error
        return SavedWorkflow(name, path)

    async def _ask(self, config: str) -> _Answer:
        python = await asyncio.to_thread(toolchain_python, self._paths.toolchains_dir, TOOLCHAIN)
        process = await asyncio.create_subprocess_exec(
            *interpreter_command("edgetui.engines.olive.check", python=python),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=WORKING_DIRECTORY,
            env=toolchain_environment(),
        )
        try:
            told, log = await asyncio.wait_for(process.communicate(config.encode()), CHECK_LIMIT_S)
        except asyncio.TimeoutError as error:
            raise EdgetuiError("crashed", "Olive does not answer: try again when the machine is less busy.") from error
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        try:
            # Packages print on standard output as they like; the answer is the last line.
            return msgspec.json.decode(told.splitlines()[-1], type=_Answer)
        except (IndexError, msgspec.DecodeError) as error:
            raise EdgetuiError(
                "engine_missing",
                "The toolchain olive is broken: install it anew with `edgetui toolchain install olive --again`.",
                detail=log.decode("utf-8", "replace"),
            ) from error


class _Answer(msgspec.Struct, frozen=True):
    message: str
    path: tuple[str | int, ...]


def for_model(text: str, entry: ModelEntry, name: str) -> str:
    """A workflow's JSON with another model in it; raises as `read_config`."""
    return config_text(with_model(read_config(text, name), _model_path(entry), is_onnx=entry.format == "onnx"))


def _model_path(entry: ModelEntry) -> str:
    """What Olive calls the model: a graph, or the folder of weights."""
    return str(entry.path if entry.format == "onnx" else entry.path.parent)


def _processors() -> set[int]:
    if sys.platform == "linux":
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def _is_file_name(name: str) -> bool:
    return bool(name) and not name.startswith(".") and not set(name) & set("/\\:\0\n") and name.isprintable()
