"""The history of measured quality."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgetui.core.quality import Estimate, QualityRow
from edgetui.store.database import Database
from edgetui.store.evaluations import Evaluations


def row(name: str, measured_at: float) -> QualityRow:
    return QualityRow(
        model_name=name,
        model_path=f"/m/{name}",
        model_format="gguf",
        model_size_bytes=1,
        quant_type="Q4_0",
        engine="llama.cpp",
        engine_version="0",
        base_name=None,
        model_fingerprint="f",
        text_name="text",
        text_sha256="t",
        context_tokens=8,
        chunks=1,
        scored_tokens=3,
        perplexity=Estimate(12.5, 0.25),
        measured_at=measured_at,
    )


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(tmp_path / "edgetui.db")


def test_rows_come_newest_first_and_are_forgotten_by_number(database: Database) -> None:
    evaluations = Evaluations(database)
    evaluations.add(row("a", 1.0), "job")
    evaluations.add(row("b", 2.0), None)
    newest, oldest = evaluations.records()
    assert (newest.row, newest.job_id, oldest.row, oldest.job_id) == (row("b", 2.0), None, row("a", 1.0), "job")
    assert evaluations.remove([newest.record_id, 999]) == 1
    assert [record.row.model_name for record in evaluations.records()] == ["a"]


def test_a_row_that_a_resumed_job_tells_again_is_kept_once(database: Database) -> None:
    evaluations = Evaluations(database)
    for _ in range(2):
        evaluations.add(row("a", 1.0), "job")
    assert len(evaluations.records()) == 1


@pytest.mark.parametrize("damaged", ["", "{", '{"model_name": 3}', "\x00"])
def test_a_damaged_row_hides_nothing_else(database: Database, damaged: str) -> None:
    evaluations = Evaluations(database)
    for number in range(3):
        evaluations.add(row("a", float(number)), None)
    database.write("UPDATE evaluations SET quality_row = ? WHERE measured_at = 1.0", (damaged,))
    assert [record.row.measured_at for record in evaluations.records()] == [2.0, 0.0]
