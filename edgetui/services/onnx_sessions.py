"""Plain ONNX Runtime sessions: what a graph takes, measuring its latency in a job, and what was measured."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from edgetui.core.failures import EdgetuiError
from edgetui.core.onnx_latency import GraphValue, extents_of, names_in, parse_sizes
from edgetui.formats.onnx import check_external_data, read_onnx
from edgetui.services.signals import Signal
from edgetui.store.onnx_latencies import OnnxLatencies
from edgetui.worker.requests import OnnxLatencyRequest
from edgetui.worker.spawn import toolchain_environment, toolchain_python

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from edgetui.config import Paths
    from edgetui.core.bench import Machine
    from edgetui.core.jobs import JobRecord
    from edgetui.core.models import ModelEntry
    from edgetui.core.onnx_latency import OnnxLatencyRecord, OnnxRunSettings
    from edgetui.formats.onnx import OnnxModel
    from edgetui.services.jobs import Jobs
    from edgetui.store.database import Database
    from edgetui.worker.job_events import JobFailed, JobSucceeded

TOOLCHAIN = "onnx"
ANSWER_LIMIT_S = 30.0
_ASK_PROVIDERS = "import onnxruntime as o; print(*o.get_available_providers(), sep='\\n')"
_SUFFIX, _IN_A_CLOUD = "ExecutionProvider", "Azure"


class GraphFaces(NamedTuple):
    """What a graph takes and gives."""

    inputs: tuple[GraphValue, ...]
    outputs: tuple[GraphValue, ...]


class OnnxSessions:
    """Latencies of ONNX graphs of any kind; a row is in the history once it is measured."""

    def __init__(self, paths: Paths, jobs: Jobs, database: Database, machine: Callable[[], Awaitable[Machine]]) -> None:
        """`machine` tells what rows say of where they were measured."""
        self._paths = paths
        self._jobs = jobs
        self._machine = machine
        self._latencies = OnnxLatencies(database)
        self.changed: Signal[None] = Signal()
        """Published when this process knows of a new row, or removed one."""

    async def faces(self, entry: ModelEntry) -> GraphFaces:
        """Inputs and outputs; no runtime is needed for that. Raises `EdgetuiError`: `unsupported`, `bad_file`."""
        _require_onnx(entry)
        model = await asyncio.to_thread(read_onnx, entry.path)
        return _faces(model)

    async def providers(self) -> tuple[str, ...]:
        """Execution providers of the ONNX Runtime that would measure, in its own order of preference.

        Raises `EdgetuiError`: `engine_missing` where there is none or it does not load.
        """
        environment = self._environment()
        python = toolchain_python(self._paths.toolchains_dir, environment) if environment else Path(sys.executable)
        process = await asyncio.create_subprocess_exec(
            python,
            "-c",
            _ASK_PROVIDERS,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=toolchain_environment() if environment else None,
        )
        try:
            out, _ = await asyncio.wait_for(process.communicate(), ANSWER_LIMIT_S)
        except asyncio.TimeoutError as error:
            raise EdgetuiError(
                "engine_missing", f"ONNX Runtime does not say within {ANSWER_LIMIT_S:.0f} s what it can use: try again."
            ) from error
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        names = tuple(line.removesuffix(_SUFFIX) for line in out.decode("utf-8", "replace").split())
        if process.returncode or not names:
            raise EdgetuiError(
                "engine_missing", "ONNX Runtime does not load: install it anew with `edgetui toolchain install onnx`."
            )
        return tuple(name for name in names if name != _IN_A_CLOUD)

    async def start(self, entry: ModelEntry, settings: OnnxRunSettings) -> JobRecord:
        """Measure a graph in a job; raises `EdgetuiError` as `check` does, and `busy` beside another job."""
        settings = await asyncio.to_thread(self.check, entry, settings)
        trace = self._trace_path(entry.name) if settings.profile else ""
        return await self._jobs.start_alone(
            OnnxLatencyRequest(
                model=str(entry.path),
                model_name=entry.name,
                model_fingerprint=entry.fingerprint,
                settings=settings,
                machine=await self._machine(),
                trace=trace,
                environment=self._environment(),
            )
        )

    def check(self, entry: ModelEntry, settings: OnnxRunSettings) -> OnnxRunSettings:
        """Raise `EdgetuiError` for what can never be measured; gives the settings with the file's whole path.

        `unsupported` for what is no ONNX graph, `bad_file`, `not_found` for the file of inputs, `bad_request` for sizes
        that fit nothing, `engine_missing`.
        """
        _require_onnx(entry)
        self._environment()
        sizes = parse_sizes(settings.sizes)
        model = read_onnx(entry.path)
        check_external_data(model)
        inputs = _faces(model).inputs
        if settings.file:
            file = Path(os.path.expanduser(settings.file)).absolute()
            if not file.is_file():
                raise EdgetuiError("not_found", f"The file {file} with inputs is not there.")
            if sizes:
                raise EdgetuiError("bad_request", "Sizes are for synthetic inputs: leave them out, or the file.")
            return msgspec.structs.replace(settings, file=str(file))
        if unknown := sorted(sizes.keys() - names_in(inputs)):
            known = ", ".join(sorted(names_in(inputs)))
            raise EdgetuiError(
                "bad_request", f"{unknown[0][:60]!r} is no input and no free dimension of {entry.name}: it has {known}."
            )
        for value in inputs:
            extents_of(value, sizes)
        return settings

    async def follow(self, job_id: str) -> JobSucceeded | JobFailed:
        """Wait for the end of a job and publish `changed`; gives its last event."""
        return await self._jobs.follow_rows(job_id, self.changed)

    async def history(self) -> list[OnnxLatencyRecord]:
        """Every row measured here, newest first; one that is damaged is left out."""
        return await asyncio.to_thread(self._latencies.records)

    async def result(self, record_id: int) -> OnnxLatencyRecord:
        """One row; raises `EdgetuiError("not_found")`."""
        for record in await self.history():
            if record.record_id == record_id:
                return record
        raise EdgetuiError("not_found", f"No latency has the number {record_id}: edgetui onnx results lists them.")

    async def remove(self, record_ids: Sequence[int]) -> int:
        """Forget rows, and the traces that belong to them; returns how many rows there were."""
        count = await asyncio.to_thread(self._remove, record_ids)
        self.changed.publish(None)
        return count

    def _remove(self, record_ids: Sequence[int]) -> int:
        chosen = set(record_ids)
        for record in self._latencies.records():
            profile = record.row.profile
            # Only what lies where we put it: a row may come from another machine.
            if record.record_id in chosen and profile and Path(profile.trace).parent == self._paths.traces_dir:
                Path(profile.trace).unlink(missing_ok=True)
        return self._latencies.remove(record_ids)

    def _environment(self) -> str:
        """Empty where edgetui's own environment has ONNX Runtime, which a person then chose; else the toolchain's name.

        Raises `EdgetuiError("engine_missing")` where neither has one.
        """
        if find_spec("onnxruntime") is not None:
            return ""
        toolchain_python(self._paths.toolchains_dir, TOOLCHAIN)
        return TOOLCHAIN

    def _trace_path(self, name: str) -> str:
        plain = re.sub(r"[^\w.-]+", "-", name)[:80]
        return str(
            self._paths.traces_dir / f"{plain}-{time.strftime('%Y%m%d-%H%M%S')}-{time.monotonic_ns() % 1000}.json"
        )


def _require_onnx(entry: ModelEntry) -> None:
    if entry.format != "onnx":
        raise EdgetuiError(
            "unsupported", f"{entry.name} is no ONNX model, and ONNX Runtime runs nothing else: b benches this one."
        )
    if entry.problem:
        raise EdgetuiError("bad_file", entry.problem)


def _faces(model: OnnxModel) -> GraphFaces:
    return GraphFaces(
        tuple(GraphValue(each.name, each.type_name, each.shape) for each in model.inputs),
        tuple(GraphValue(each.name, each.type_name, each.shape) for each in model.outputs),
    )
