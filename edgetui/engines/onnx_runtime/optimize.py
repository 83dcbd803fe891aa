"""ONNX Runtime's graph optimization, done once and saved, with its nodes counted before and after."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import msgspec

from edgetui.core.failures import EdgetuiError
from edgetui.engines.onnx_runtime import graph
from edgetui.engines.onnx_runtime.beside import carry_along, configuration, refuse_pipeline
from edgetui.engines.onnx_runtime.failures import told
from edgetui.engines.onnx_runtime.session import QUIET, optimization_level, prove, require_provider

if TYPE_CHECKING:
    from collections import Counter
    from pathlib import Path

    from edgetui.core.workflows.onnx import OnnxOptimize
    from edgetui.engines.reporting import Reporter

RECORD = "optimization.json"
STEPS = 4


class Optimization(msgspec.Struct, frozen=True, kw_only=True):
    """What `optimization.json` beside the graph holds."""

    level: str
    provider: str
    fusion: str
    onnxruntime: str
    """Version."""
    nodes_before: int
    nodes_after: int
    operators_before: dict[str, int]
    """Nodes by operator type."""
    operators_after: dict[str, int]
    bytes_before: int
    """Graph and weights; they grow where a folded constant is stored twice."""
    bytes_after: int


def make(source: Path, target: Path, settings: OnnxOptimize, job: Reporter) -> None:
    """Make the folder `target`: the optimized graph under the source's name, `optimization.json`, what lay beside.

    Raises `EdgetuiError`: `bad_file`, `unsupported`, `engine_missing` for a provider that is not there,
    `out_of_memory`, `no_space`.
    """
    import onnxruntime

    job.progress(0, STEPS, "steps", "reading")
    refuse_pipeline(source)
    require_provider(settings.provider)
    model = graph.inspect(source)
    outside = graph.lies_outside(model)
    graph.require_memory(2 * graph.source_bytes(model), source.name)
    work = target / graph.WORK
    os.makedirs(work)
    start = graph.stage(model, graph.load(source), work)
    if settings.fusion != "none":
        job.progress(1, STEPS, "steps", f"fusing {settings.fusion}")
        start = _fuse(start, source, settings.fusion, outside=outside)
    job.progress(2, STEPS, "steps", f"optimizing, level {settings.level}")
    made = target / source.name
    _optimize(start, made, source.name, settings, outside)
    shutil.rmtree(work)
    optimized = graph.inspect(made)
    before, after = model.nodes, optimized.nodes
    record = Optimization(
        level=settings.level,
        provider=settings.provider,
        fusion=settings.fusion,
        onnxruntime=onnxruntime.__version__,
        nodes_before=before.total(),
        nodes_after=after.total(),
        operators_before=dict(before.most_common()),
        operators_after=dict(after.most_common()),
        bytes_before=graph.source_bytes(model),
        bytes_after=graph.source_bytes(optimized),
    )
    print(f"Nodes: {record.nodes_before} -> {record.nodes_after}. {changes(before, after)}")
    job.progress(3, STEPS, "steps", f"nodes: {record.nodes_before} -> {record.nodes_after}; checking")
    carry_along(source, target)
    with told(RECORD, "Writing"):
        (target / RECORD).write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n")
    prove(made, source.name, settings.provider)
    job.progress(STEPS, STEPS, "steps", f"nodes: {record.nodes_before} -> {record.nodes_after}")


def changes(before: Counter[str], after: Counter[str]) -> str:
    """`MatMul 72 -> 0, FusedMatMul 0 -> 24`: operator types whose number changed, the largest change first."""
    kinds = sorted({*before, *after}, key=lambda kind: (-abs(after[kind] - before[kind]), kind))
    changed = [f"{kind} {before[kind]} -> {after[kind]}" for kind in kinds if before[kind] != after[kind]]
    return ", ".join(changed) or "no operator type changed its number"


def _optimize(start: Path, made: Path, name: str, settings: OnnxOptimize, outside: bool) -> None:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = QUIET
    options.graph_optimization_level = optimization_level(settings.level)
    options.optimized_model_filepath = os.fspath(made)
    if outside:
        options.add_session_config_entry("session.optimized_model_external_initializers_file_name", f"{made.name}.data")
        options.add_session_config_entry("session.optimized_model_external_initializers_min_size_in_bytes", "1024")
    with told(name, "Optimizing"):
        onnxruntime.InferenceSession(os.fspath(start), options, providers=[require_provider(settings.provider)])
    if not made.exists():
        raise EdgetuiError("unsupported", f"ONNX Runtime wrote no optimized graph of {name}: the log has its words.")


def _fuse(staged: Path, source: Path, kind: str, *, outside: bool) -> Path:
    """The graph after `onnxruntime.transformers`, which knows whole blocks of some families."""
    from onnxruntime.transformers import optimizer

    config = configuration(source, "config.json")
    heads = config.get("num_attention_heads") or config.get("n_head")
    hidden = config.get("hidden_size") or config.get("n_embd")
    fused = staged.with_name(f"fused-{source.name}")
    with told(source.name, "Fusing"):
        # Zero lets the tool find out by itself.
        result = optimizer.optimize_model(
            os.fspath(staged), model_type=kind, num_heads=heads or 0, hidden_size=hidden or 0, opt_level=0
        )
        found = {name: count for name, count in result.get_fused_operator_statistics().items() if count}
        print(f"Fused: {', '.join(f'{count} {name}' for name, count in found.items()) or 'nothing'}.")
        result.save_model_to_file(os.fspath(fused), use_external_data_format=outside)
    return fused
