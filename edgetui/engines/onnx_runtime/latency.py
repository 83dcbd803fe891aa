"""Latency of a plain ONNX Runtime session, for any graph: warm-up, runs that count, and profiling apart from them."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from edgetui.core.failures import EdgetuiError
from edgetui.core.onnx_latency import AUTO, FEWEST_RUNS, MOST_RUNS, FedInput, GraphValue, parse_sizes
from edgetui.engines import host
from edgetui.engines.onnx_runtime import graph, inputs
from edgetui.engines.onnx_runtime.failures import told
from edgetui.engines.onnx_runtime.session import QUIET, optimization_level
from edgetui.formats.onnx import check_external_data, read_onnx

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgetui.core.onnx_latency import OnnxRunSettings
    from edgetui.formats.onnx import OnnxModel

SUFFIX = "ExecutionProvider"
_IN_A_CLOUD = "AzureExecutionProvider"
CPU = "CPUExecutionProvider"
PROFILED_RUNS = 10
"""At most: a trace grows by all nodes with each."""


class Measured(NamedTuple):
    """Figures of one session."""

    fed: tuple[FedInput, ...]
    outputs: tuple[GraphValue, ...]
    provider: str
    remarks: tuple[str, ...]
    threads: int
    load_s: float
    first_run_ns: int | None
    samples_ns: tuple[int, ...]
    memory_bytes: int | None
    others_share: float | None


class Described(NamedTuple):
    """What a graph takes and gives."""

    inputs: tuple[GraphValue, ...]
    outputs: tuple[GraphValue, ...]


def version() -> str:
    """Of ONNX Runtime."""
    import onnxruntime

    return str(onnxruntime.__version__)


def read(path: Path) -> OnnxModel:
    """The graph, its weights checked to be there; raises `EdgetuiError`: `not_found`, `bad_file`, `out_of_memory`."""
    if not path.exists():
        raise EdgetuiError("not_found", f"The file {path} is not there.")
    model = read_onnx(path)
    check_external_data(model)
    graph.require_memory(graph.source_bytes(model), path.name)
    return model


def measure(path: Path, model: OnnxModel, settings: OnnxRunSettings, on_run: Callable[[int, float], None]) -> Measured:
    """Load, warm up, run; `on_run` gets how many runs are done and the seconds that they took.

    Raises `EdgetuiError`: as `open_session` and `feeds`, `unsupported` for a graph that does not run.
    """
    host.forget_peak_memory()
    began = time.perf_counter()
    session, provider, remarks = open_session(path, settings)
    load_s = time.perf_counter() - began
    arrays, fed = feeds(path, model, session, settings)
    others, wall = host.cpu_seconds_of_others(), time.monotonic()
    with told(path.name, "Running"):
        warm = [_timed(session, arrays) for _ in range(settings.warm_up)]
        samples: list[int] = []
        spent_ns = 0
        while not _enough(settings, len(samples), spent_ns):
            samples.append(_timed(session, arrays))
            spent_ns += samples[-1]
            on_run(len(samples), spent_ns / 1e9)
        found = session.run(None, arrays)
    outputs = tuple(
        GraphValue(node.name, str(getattr(array, "dtype", node.type)), tuple(getattr(array, "shape", ())))
        for node, array in zip(session.get_outputs(), found, strict=True)
    )
    return Measured(
        fed=fed,
        outputs=outputs,
        provider=provider,
        remarks=(*remarks, *_not_numbers(outputs, found)),
        threads=settings.threads or host.default_threads(),
        load_s=load_s,
        first_run_ns=warm[0] if warm else None,
        samples_ns=tuple(samples),
        memory_bytes=host.peak_resident_bytes(),
        others_share=_share(others, host.cpu_seconds_of_others(), time.monotonic() - wall),
    )


def profile(path: Path, model: OnnxModel, settings: OnnxRunSettings, folder: Path, runs: int) -> Path:
    """Run some more in a session that notes every operator; the trace is left in `folder`, under the path returned."""
    session, _, _ = open_session(path, settings, profile_prefix=os.fspath(folder / "trace"))
    arrays, _ = feeds(path, model, session, settings)
    with told(path.name, "Profiling"):
        for _ in range(min(max(1, runs), PROFILED_RUNS)):
            session.run(None, arrays)
        return Path(session.end_profiling())


def open_session(
    path: Path, settings: OnnxRunSettings, *, profile_prefix: str = ""
) -> tuple[Any, str, tuple[str, ...]]:
    """A session, the provider that it took up, and what is not as asked.

    Raises `EdgetuiError`: `engine_missing` for a provider that is not there, `unsupported`, `bad_file`.
    """
    import onnxruntime

    wanted = wanted_provider(settings.provider)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = QUIET
    options.intra_op_num_threads = settings.threads or host.default_threads()
    options.inter_op_num_threads = settings.inter_threads
    options.graph_optimization_level = optimization_level(settings.opt_level)
    mode = onnxruntime.ExecutionMode
    options.execution_mode = mode.ORT_PARALLEL if settings.mode == "parallel" else mode.ORT_SEQUENTIAL
    if profile_prefix:
        options.enable_profiling = True
        options.profile_file_prefix = profile_prefix
    asked = [wanted] if wanted == CPU else [wanted, CPU]
    with told(path.name, "Loading"):
        session = onnxruntime.InferenceSession(os.fspath(path), options, providers=asked)
    taken = session.get_providers()[0]
    remarks: tuple[str, ...] = ()
    if taken != wanted:
        remarks = (
            f"{short(wanted)} is in this ONNX Runtime and does not come up on this machine: {short(taken)} computed.",
        )
    return session, short(taken), remarks


def wanted_provider(asked: str) -> str:
    """ONNX Runtime's name of a provider that is really there; raises `EdgetuiError("engine_missing")`.

    `auto` takes the first in ONNX Runtime's own order, in which the CPU is last.
    """
    import onnxruntime

    there = [name for name in onnxruntime.get_available_providers() if name != _IN_A_CLOUD]
    if asked.lower() == AUTO:
        return str(there[0])
    plain = asked.lower().removesuffix(SUFFIX.lower())
    found = next((name for name in there if name.lower() == f"{plain}{SUFFIX}".lower()), None)
    if found is None:
        raise EdgetuiError(
            "engine_missing",
            f"The execution provider {asked[:40]} is not in the installed ONNX Runtime, which has"
            f" {', '.join(map(short, there))}: take one of these, or install an ONNX Runtime that was built with it.",
        )
    return str(found)


def short(provider: str) -> str:
    """`CUDA` for `CUDAExecutionProvider`."""
    return provider.removesuffix(SUFFIX)


def feeds(
    path: Path, model: OnnxModel, session: Any, settings: OnnxRunSettings
) -> tuple[dict[str, Any], tuple[FedInput, ...]]:
    """Arrays for every input, and what they hold; raises `EdgetuiError` as the functions of `inputs` do."""
    declared = inputs.values_of(session.get_inputs())
    if settings.file:
        file = Path(settings.file)
        arrays = inputs.feeds_of_file(file, declared)
        return arrays, inputs.fed_of(arrays, file.name)
    return inputs.synthetic_feeds(path, model, declared, parse_sizes(settings.sizes), settings.seed)


def _timed(session: Any, arrays: dict[str, Any]) -> int:
    began = time.perf_counter_ns()
    session.run(None, arrays)
    return time.perf_counter_ns() - began


def _enough(settings: OnnxRunSettings, done: int, spent_ns: int) -> bool:
    if settings.runs:
        return done >= settings.runs
    return done >= MOST_RUNS or (done >= FEWEST_RUNS and spent_ns >= settings.budget_s * 1e9)


def _not_numbers(outputs: tuple[GraphValue, ...], arrays: list[Any]) -> tuple[str, ...]:
    import numpy

    names = [
        value.name
        for value, array in zip(outputs, arrays, strict=True)
        if isinstance(array, numpy.ndarray) and array.dtype.kind == "f" and numpy.isnan(array).any()
    ]
    if not names:
        return ()
    return (f"The output {', '.join(names)} holds NaN: the weights are damaged, or these inputs overflow.",)


def _share(before: float | None, after: float | None, wall_s: float) -> float | None:
    """Of the processors' time since, what others took."""
    if before is None or after is None or wall_s <= 0:
        return None
    return min(1.0, max(0.0, (after - before) / (wall_s * (os.cpu_count() or 1))))
