"""Measures the latency of an ONNX graph, and keeps the trace where it shall be profiled."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from edgetui.core.jobs import REPETITIONS
from edgetui.core.onnx_latency import OnnxLatencyRow
from edgetui.core.onnx_latency_text import milliseconds
from edgetui.core.units import counted
from edgetui.engines.onnx_runtime import graph, latency
from edgetui.engines.onnx_runtime.profile import read_profile
from edgetui.engines.reporting import Outcome
from edgetui.store.onnx_latencies import OnnxLatencies
from edgetui.worker.requests.base import hidden_beside

if TYPE_CHECKING:
    from edgetui.core.onnx_latency import OnnxProfile
    from edgetui.formats.onnx import OnnxModel
    from edgetui.worker.requests.onnx import OnnxLatencyRequest
    from edgetui.worker.runners import RunningJob


def run(request: OnnxLatencyRequest, job: RunningJob) -> Outcome:
    """Measure, profile, keep the row."""
    settings, path = request.settings, Path(request.model)
    job.progress(0, None, REPETITIONS, f"loading {request.model_name}")
    model = latency.read(path)

    def report(runs: int, spent_s: float) -> None:
        done, total = (runs, settings.runs) if settings.runs else (min(spent_s, settings.budget_s), settings.budget_s)
        mean = f"{counted(runs, 'run')}, mean {milliseconds(spent_s / runs * 1e3)}"
        job.progress(done, total, REPETITIONS if settings.runs else "s", mean)

    measured = latency.measure(path, model, settings, report)
    profile = None
    if request.trace:
        job.progress(0, None, REPETITIONS, "profiling")
        profile = _profile(request, job, model, len(measured.samples_ns))
    row = OnnxLatencyRow(
        model_name=request.model_name,
        model_path=request.model,
        model_fingerprint=request.model_fingerprint,
        model_size_bytes=graph.source_bytes(model),
        quant_type=model.quant_type or "",
        settings=settings,
        inputs=measured.fed,
        outputs=measured.outputs,
        provider=measured.provider,
        remarks=measured.remarks,
        engine_version=latency.version(),
        environment=request.environment,
        threads=measured.threads,
        load_s=measured.load_s,
        first_run_ns=measured.first_run_ns,
        samples_ns=measured.samples_ns,
        memory_bytes=measured.memory_bytes,
        others_share=measured.others_share,
        measured_at=time.time(),
        machine=request.machine,
        profile=profile,
    )
    OnnxLatencies(job.database).add(row, job.folder.job_id)
    told = f"{request.model_name}: median {milliseconds(row.percentile_ms(0.5))}, p99 "
    told += f"{milliseconds(row.percentile_ms(0.99))}, {row.runs_per_s:.4g} runs/s on {row.provider}."
    return Outcome(summary=" ".join((told, *measured.remarks)), output=request.trace or None)


def _profile(request: OnnxLatencyRequest, job: RunningJob, model: OnnxModel, runs: int) -> OnnxProfile:
    """The trace is written into a hidden folder beside its place, and takes its name when it is whole and read."""
    target = Path(request.trace)
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = hidden_beside(target, job.folder.job_id)
    folder.mkdir()
    written = latency.profile(Path(request.model), model, request.settings, folder, runs)
    found = read_profile(written, target)
    if found.is_cut and found.runs:
        # As many runs as ONNX Runtime can record: then the trace is whole.
        written.unlink()
        written = latency.profile(Path(request.model), model, request.settings, folder, found.runs)
        found = read_profile(written, target)
    os.replace(written, target)
    folder.rmdir()
    return found
