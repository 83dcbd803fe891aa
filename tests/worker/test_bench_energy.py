"""What the measuring job says of energy: a real measurement, and a recorded machine's meter beside it."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from edgetui.core.bench import BenchSettings
from edgetui.meters.recorder import EnergyRecorder
from edgetui.store.database import Database
from edgetui.worker.requests import BenchRequest
from edgetui.worker.runners import bench
from tests.recorded_machine import unfold
from tests.worker.conftest import WATTS

if TYPE_CHECKING:
    from pathlib import Path

    from edgetui.core.bench import BenchRow


def measured(demo_model: Path, tmp_path: Path, settings: BenchSettings) -> tuple[BenchRow, list[str]]:
    """Run the job's work here; gives its row and the notes of its progress."""
    rows: list[BenchRow] = []
    notes: list[str] = []
    job: Any = SimpleNamespace(
        database=Database(tmp_path / "edgetui.db"),
        folder=SimpleNamespace(owner_id="job", earlier_events=list),
        progress=lambda done, total, unit, note, **_: notes.append(note),
        row=rows.append,
    )
    request = BenchRequest(model=str(demo_model), model_name="demo", settings=settings)
    bench.run(request, job)
    (row,) = rows
    return row, notes


def test_a_row_has_the_energy_of_its_repetitions_and_the_power_before(
    demo_model: Path, tmp_path: Path, ten_watts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "EnergyRecorder", partial(EnergyRecorder, ten_watts))
    settings = BenchSettings(prompt_tokens=0, generated_tokens=64, repetitions=4, threads=1)
    row, _ = measured(demo_model, tmp_path, settings)
    seconds = sum(row.samples_ns) / 1e9
    if seconds < 2.0:
        pytest.skip("this machine is too fast for so short a test")
    assert row.energy_meter == "psys" and row.energy_reason == ""
    assert row.energy_j == pytest.approx(WATTS * seconds, rel=0.1)
    assert row.joules_per_token == pytest.approx(WATTS * seconds / (64 * 4), rel=0.1)
    assert row.rest_w == pytest.approx(WATTS, rel=0.1)


def test_a_row_without_a_meter_says_why(demo_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = unfold("container-cgroup-v1", tmp_path / "machine")
    monkeypatch.setattr(bench, "EnergyRecorder", partial(EnergyRecorder, bare))
    row, _ = measured(demo_model, tmp_path, BenchSettings(prompt_tokens=0, generated_tokens=1, repetitions=1))
    assert row.energy_j is None and row.joules_per_token is None
    assert "no meter found" in row.energy_reason and row.energy_meter == ""
