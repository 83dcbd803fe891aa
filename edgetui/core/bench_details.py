"""All that is kept of a row, as labels and texts: for the details pane, the command line and reports."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from edgetui.core.bench_filter import source_of
from edgetui.core.bench_noise import conditions_text, noise_of
from edgetui.core.llama_bench_columns import COLUMNS, file_name
from edgetui.core.plain_text import plain_line
from edgetui.core.units import MISSING, format_bytes, format_count, format_duration

if TYPE_CHECKING:
    from edgetui.core.bench import BenchRecord, BenchRow, Machine

_MOST_SAMPLES = 40
_IN_OTHER_WORDS = frozenset(("build_commit", "build_number", "test_time", "avg_ns", "stddev_ns"))
"""Columns of llama-bench that a fact above says already."""


def facts(record: BenchRecord) -> list[tuple[str, str]]:
    """Labels and texts, the figures first; what is not known is left out or says so."""
    row = record.row
    told = [
        ("test", f"{row.name} of {row.model_name}"),
        ("rate", rate_sentence(row)),
        *([("noisy", why)] if (why := noise_of(row)) else []),
        ("samples", samples_text(row)),
        ("during", conditions_text(row.conditions)),
        ("energy", energy_sentence(row)),
        ("settings", settings_text(row)),
        ("engine", f"{row.engine} {row.engine_version} {row.backend}".strip()),
        ("model", model_text(row)),
        ("machine", machine_text(record.machine)),
        ("measured", f"{moment(row)} by {source_of(record)}" + (f", job {record.job_id}" if record.job_id else "")),
    ]
    if row.load_s is not None:
        told.append(("load", format_duration(row.load_s)))
    if row.memory_bytes is not None:
        told.append(("memory", f"at most {format_bytes(row.memory_bytes)}"))
    more = [
        f"{name} {value}"
        for name, value in row.other_columns
        if name not in _IN_OTHER_WORDS and value != COLUMNS.get(name, ("", ""))[1]
    ]
    if more:
        told.append(("besides", ", ".join(more)))
    return [(label, plain_line(text)) for label, text in told]


def rate_sentence(row: BenchRow) -> str:
    """Mean and its interval, then what an outlier does not move."""
    sd = row.sd_tps
    told = f"{row.mean_tps:.2f} tok/s, sd {MISSING if sd is None else f'{sd:.2f}'}"
    if row.interval_share is not None:
        half = row.mean_tps * row.interval_share
        told += f", 95 % interval {max(0.0, row.mean_tps - half):.2f} to {row.mean_tps + half:.2f}"
    if row.median_tps is not None and row.mad_tps is not None:
        told += f", median {row.median_tps:.2f}, MAD {row.mad_tps:.2f}"
    return told


def energy_sentence(row: BenchRow) -> str:
    """Joules a token, the meter that told them and its power at work and at rest; else why there is no figure."""
    joules, spent_s = row.joules_per_token, sum(row.samples_ns) / 1e9
    if row.energy_j is None or joules is None or not spent_s:
        if row.source:
            return f"not told by {row.source}"
        return f"not measured: {row.energy_reason}" if row.energy_reason else "not measured"
    told = f"{joules:.3g} J/token by {row.energy_meter}, {row.energy_j / spent_s:.3g} W on average"
    return told if row.rest_w is None else f"{told}, {row.rest_w:.3g} W at rest before"


def samples_text(row: BenchRow) -> str:
    """Rate of each repetition in order, outliers in brackets, and why there is no further one."""
    if not row.samples_ns:
        return "none came with the row"
    outliers = set(row.outliers)
    shown = [
        f"({tps:.2f})" if number in outliers else f"{tps:.2f}"
        for number, tps in enumerate(row.samples_tps[:_MOST_SAMPLES])
    ]
    rest = len(row.samples_ns) - len(shown)
    told = " ".join(shown) + (f" and {rest} more" if rest else "") + " tok/s"
    if outliers:
        told += f"; {len(outliers)} outlier{'' if len(outliers) == 1 else 's'} in brackets, counted all the same"
    stopped = {"interval": "the interval was narrow enough", "budget": "the time was used up"}.get(row.stopped_by, "")
    return told + (f"; stopped since {stopped}" if stopped else "")


def settings_text(row: BenchRow) -> str:
    """Settings in words."""
    value_type = row.kv_cache_type_v
    told = [
        f"{row.threads} thread{'' if row.threads == 1 else 's'}",
        f"batch {row.batch_tokens}" + (f"/{row.physical_batch_tokens}" if row.physical_batch_tokens else ""),
        f"KV {row.kv_cache_type}" + (f"/{value_type}" if value_type not in ("", row.kv_cache_type) else ""),
    ]
    if row.flash_attention:
        told.append(f"flash attention {row.flash_attention}")
    if row.gpu_layers is not None:
        told.append("GPU layers " + ("all" if row.gpu_layers < 0 else str(row.gpu_layers)))
    if row.use_mmap is not None:
        told.append("mmap" if row.use_mmap else "no mmap")
    if row.huge_pages:
        told.append("huge pages")
    return ", ".join(told)


def model_text(row: BenchRow) -> str:
    """The model's file, size and content; no folder, which may name a person."""
    told = [file_name(row.model_path) or row.model_name, row.model_quant_type or "type not told"]
    if row.model_size_bytes:
        told.append(format_bytes(row.model_size_bytes))
    if row.model_parameter_count:
        told.append(f"{format_count(row.model_parameter_count)} parameters")
    if row.fingerprint:
        told.append(f"content {row.fingerprint[:16]}")
    return ", ".join(told)


def machine_text(machine: Machine) -> str:
    """What it was measured on; no host name, no serial number."""
    told = [machine.cpu or machine.architecture or "machine not told"]
    if machine.physical_cores:
        told.append(f"{machine.physical_cores} core{'' if machine.physical_cores == 1 else 's'}")
    if machine.memory_bytes:
        told.append(format_bytes(machine.memory_bytes))
    if machine.system:
        told.append(machine.system)
    return ", ".join(told)


def moment(row: BenchRow) -> str:
    """When, in local time."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(row.measured_at))
