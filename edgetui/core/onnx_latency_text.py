"""Latencies of ONNX graphs in words and figures, as commands and screens show them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar

from edgetui.core.onnx_latency import FedInput, GraphValue
from edgetui.core.units import MISSING, counted, format_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetui.core.onnx_latency import OnnxComparison, OnnxLatencyRecord, OnnxLatencyRow, OnnxProfile, OperatorTime

Face = TypeVar("Face", FedInput, GraphValue)
COLUMNS = (
    "id", "p50 ms", "p90", "p95", "p99", "max", "mean", "runs/s", "on", "thr", "opt", "model", "inputs", "runs", "ort",
)  # fmt: skip
"""Of a table with a row a measurement."""


def milliseconds(value: float) -> str:
    """`12.4 ms`, four figures."""
    return f"{figure(value)} ms"


def figure(value: float) -> str:
    """Four figures: `0.01234`, `12.34`, `1234`."""
    return f"{value:.4g}" if value < 1000 else f"{value:.0f}"


def fed(row: OnnxLatencyRow) -> str:
    """`input_ids 1x128, attention_mask 1x128`; those that differ by a number in their names count as one."""
    return ", ".join(f"{name} {'x'.join(map(str, each.shape)) or 'scalar'}" for name, each in _alike(row.inputs))


def _alike(values: Sequence[Face]) -> list[tuple[str, Face]]:
    """Inputs or outputs under a common name, such as `past_key_values.N.key (30)`, and the first of each."""
    groups: dict[tuple[object, ...], list[Face]] = {}
    for each in values:
        content = each.content if isinstance(each, FedInput) else ""
        groups.setdefault((re.sub(r"\d+", "N", each.name), each.type_name, each.shape, content), []).append(each)
    return [
        (alike[0].name if len(alike) == 1 else f"{key[0]} ({len(alike)})", alike[0]) for key, alike in groups.items()
    ]


def cells(record: OnnxLatencyRecord) -> tuple[str, ...]:
    """A row in the order of `COLUMNS`."""
    row = record.row
    return (
        str(record.record_id),
        *(figure(row.percentile_ms(share)) for share in (0.5, 0.9, 0.95, 0.99, 1.0)),
        figure(row.mean_ms),
        f"{row.runs_per_s:.4g}",
        row.provider,
        str(row.threads),
        row.settings.opt_level,
        row.model_name,
        fed(row),
        str(len(row.samples_ns)),
        row.engine_version,
    )


def lines(row: OnnxLatencyRow) -> list[tuple[str, str]]:
    """Label and figure of every line."""
    settings = row.settings
    where = f"toolchain {row.environment}" if row.environment else "edgetui's own environment"
    deviation = row.deviation_ms
    told = [
        (
            "Latency",
            f"p50 {milliseconds(row.percentile_ms(0.5))}, p90 {figure(row.percentile_ms(0.9))},"
            f" p95 {figure(row.percentile_ms(0.95))}, p99 {figure(row.percentile_ms(0.99))}",
        ),
        (
            "  mean, sd",
            f"{milliseconds(row.mean_ms)} +/- {MISSING if deviation is None else figure(deviation)},"
            f" min {figure(row.percentile_ms(0.0))}, max {figure(row.percentile_ms(1.0))}",
        ),
        (
            "Throughput",
            f"{row.runs_per_s:.4g} runs/s, {counted(len(row.samples_ns), 'run')} after {settings.warm_up} of warm-up",
        ),
        ("Model", f"{row.model_name} ({row.quant_type or 'type not told'}, {format_bytes(row.model_size_bytes)})"),
        ("Computed by", f"onnxruntime {row.engine_version} {row.provider}, {where}"),
        (
            "Session",
            f"{counted(row.threads, 'thread')}, {settings.mode}, optimization {settings.opt_level}"
            + (f", {counted(settings.inter_threads, 'thread')} between operators" if settings.inter_threads else ""),
        ),
        *(
            ("Input", f"{name} {each.type_name} {'x'.join(map(str, each.shape)) or 'scalar'}, {each.content}")
            for name, each in _alike(row.inputs)
        ),
        *(
            ("Output", f"{name} {each.type_name} {'x'.join(map(str, each.shape)) or 'scalar'}")
            for name, each in _alike(row.outputs)
        ),
        ("Load", f"{row.load_s:.2f} s, first run {_first(row)}"),
        ("Memory at most", MISSING if row.memory_bytes is None else format_bytes(row.memory_bytes)),
        ("Others took", MISSING if row.others_share is None else f"{row.others_share:.0%} of the processors"),
    ]
    told += [("Remark", remark) for remark in row.remarks]
    if row.profile is not None:
        told.append(("Trace", row.profile.trace))
    return told


def describe(value: GraphValue) -> str:
    """`float32  batch x 3 x 224 x 224`."""
    return f"{value.type_name}  {value.shape_text}"


def share(of: OperatorTime, profile: OnnxProfile) -> float:
    """Part of all operators' time, 0 to 1."""
    return of.total_us / profile.total_us if profile.total_us else 0.0


def profile_title(profile: OnnxProfile) -> str:
    """`Operators: 124.1 ms of 10 runs, on CPU`."""
    if profile.is_cut and not profile.runs:
        return "Operators: not known, since one run has more calls than ONNX Runtime records (a million)"
    providers = ", ".join(f"{each.name} {each.count}" for each in profile.by_provider)
    cut = "; the trace was cut off after a million events, and holds no more whole runs" if profile.is_cut else ""
    spent = f"{milliseconds(profile.total_us / 1e3)} in {counted(profile.runs, 'run')}"
    return f"Operators: {spent}; calls on {providers}{cut}"


def compared(comparison: OnnxComparison, first: OnnxLatencyRow, second: OnnxLatencyRow) -> list[tuple[str, str]]:
    """What a comparison says: the ratio with its interval, and what differs."""
    ratio = comparison.ratio
    told = [
        ("First", f"{first.model_name}, mean {milliseconds(first.mean_ms)}"),
        ("Second", f"{second.model_name}, mean {milliseconds(second.mean_ms)}"),
    ]
    if ratio is None:
        told.append(("Faster", "not known: one of them has a single run"))
    else:
        interval = f"95 % interval {ratio.low:.3f} to {ratio.high:.3f}"
        verdict = "no difference is shown" if not ratio.is_shown else f"the {_faster(ratio.ratio)} is faster"
        told.append(("Speed of the first", f"{ratio.ratio:.3f} times the second's ({interval}): {verdict}"))
    told += [("Differs", each) for each in comparison.differences]
    return told


def _faster(ratio: float) -> str:
    return "first" if ratio > 1 else "second"


def _first(row: OnnxLatencyRow) -> str:
    return MISSING if row.first_run_ns is None else milliseconds(row.first_run_ns / 1e6)
