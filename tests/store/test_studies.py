"""Kept results of soaks and their like."""

from __future__ import annotations

from pathlib import Path

from edgetui.core.bench import Machine
from edgetui.core.studies import BenchSide, Knee, SoakResult, SoakSample
from edgetui.store.database import Database
from edgetui.store.studies import Studies

SOAK = SoakResult(
    side=BenchSide(model_path="/m/a.gguf", model_name="a", model_format="gguf"),
    duration_s=60.0,
    chunk_tokens=8,
    depth_tokens=0,
    samples=(SoakSample(at_s=1.0, tps=10.0, throttled=("clock limit",)), SoakSample(at_s=2.0, tps=9.0)),
    knee=Knee(at_s=1.0, before_tps=10.0, after_tps=9.0),
    sentence="It falls.",
)


def test_results_come_back_whole_and_newest_first(tmp_path: Path) -> None:
    studies = Studies(Database(tmp_path / "edgetui.db"))
    studies.add(SOAK, Machine(cpu="c"), "job", 5.0)
    studies.add(SOAK, Machine(), None, 6.0)
    newest, oldest = studies.all()
    assert (newest.measured_at, oldest.measured_at, oldest.job_id, oldest.machine.cpu) == (6.0, 5.0, "job", "c")
    assert oldest.result == SOAK
    assert studies.remove([newest.study_id, 99]) == 1 and studies.all() == [oldest]


def test_one_of_a_newer_edgetui_is_left_out(tmp_path: Path) -> None:
    database = Database(tmp_path / "edgetui.db")
    studies = Studies(database)
    studies.add(SOAK, Machine(), None, 5.0)
    database.write('UPDATE bench_studies SET result = \'{"type": "levitation"}\'')
    assert studies.all() == []
