"""A benchmark's rows as a table."""

from __future__ import annotations

import msgspec
import pytest

from edgetui.core.bench import BenchRecord, BenchRow, Machine
from edgetui.core.bench_table import HEADINGS, table

ROW = BenchRow(
    test="tg",
    tokens=10,
    samples_ns=(10**9, 10**9),
    threads=1,
    batch_tokens=2048,
    kv_cache_type="f16",
    model_name="demo",
    model_path="/demo",
    model_size_bytes=1,
    model_parameter_count=1,
    model_quant_type="Q4_1",
    engine="llama.cpp",
    engine_version="1",
    measured_at=0.0,
    load_average=None,
)


def record(row: BenchRow) -> BenchRecord:
    return BenchRecord(record_id=1, job_id=None, row=row, machine=Machine())


def test_energy_has_a_column_only_where_some_row_has_energy() -> None:
    metered = msgspec.structs.replace(ROW, energy_j=5.0, energy_meter="package-0")
    assert table([record(ROW)])[0] == HEADINGS
    headings, first, second = table([record(ROW), record(metered)])
    assert headings == (*HEADINGS[:-1], "J/token", HEADINGS[-1])
    assert first[-2] == "-" and second[-2] == "0.25 (package-0)"


def test_energy_a_token_counts_the_tokens_of_all_repetitions() -> None:
    assert msgspec.structs.replace(ROW, energy_j=5.0).joules_per_token == pytest.approx(0.25)
    assert ROW.joules_per_token is None
