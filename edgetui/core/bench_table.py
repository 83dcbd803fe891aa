"""A benchmark row as llama-bench prints it: the same columns, for the screen and the command line."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from edgetui.core.plain_text import plain_line
from edgetui.core.units import MISSING, format_bytes, format_count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetui.core.bench import BenchRecord

HEADINGS = ("model", "type", "size", "params", "engine", "threads", "kv", "test", "t/s", "measured")

ENERGY_HEADING = "J/token"


def table(records: Sequence[BenchRecord]) -> list[tuple[str, ...]]:
    """Headings, then a row a record; a column of energy before the last one, where any of them has it."""
    rows = [HEADINGS, *(cells(record) for record in records)]
    if all(record.row.energy_j is None for record in records):
        return rows
    energies = [ENERGY_HEADING, *(energy_text(record) for record in records)]
    return [(*row[:-1], energy, row[-1]) for row, energy in zip(rows, energies, strict=True)]


def cells(record: BenchRecord) -> tuple[str, ...]:
    """One cell a heading."""
    row = record.row
    return (
        plain_line(row.model_name),
        plain_line(row.model_quant_type),
        format_bytes(row.model_size_bytes),
        format_count(row.model_parameter_count),
        f"{row.engine} {row.backend}".strip(),
        str(row.threads),
        row.kv_cache_type,
        row.name,
        rate_text(record),
        time.strftime("%Y-%m-%d %H:%M", time.localtime(row.measured_at)),
    )


def rate_text(record: BenchRecord) -> str:
    """Mean and standard deviation in tok/s; the latter is missing for a single repetition."""
    sd = record.row.sd_tps
    return f"{record.row.mean_tps:.2f} +- {MISSING if sd is None else f'{sd:.2f}'}"


def energy_text(record: BenchRecord) -> str:
    """Joules a token and what told them, `0.212 (package-0)`; a dash where no meter could be read."""
    joules = record.row.joules_per_token
    return MISSING if joules is None else f"{joules:.3g} ({plain_line(record.row.energy_meter)})"
