"""Energy of soaks, A/B comparisons and autotunes: real measurements, and a recorded machine's meter beside them."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from edgetui.core.bench import BenchRow, BenchSettings, BenchTest
from edgetui.core.studies import (
    AbResult,
    AbSettings,
    BenchSide,
    Candidate,
    SoakResult,
    SoakSettings,
    StudyResult,
    TuneResult,
    TuneSettings,
)
from edgetui.core.study_text import energy_lines, study_charts
from edgetui.meters.recorder import EnergyRecorder
from edgetui.store.database import Database
from edgetui.store.studies import Studies
from edgetui.worker.requests import AbRequest, SoakRequest, TuneRequest
from edgetui.worker.runners import ab, soak, tune
from tests.recorded_machine import unfold
from tests.worker.conftest import WATTS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Job:
    """Runs a runner here, and keeps what it tells."""

    def __init__(self, tmp_path: Path) -> None:
        self.database = Database(tmp_path / "edgetui.db")
        self.folder: Any = SimpleNamespace(owner_id="job", order=lambda: SimpleNamespace(toolchains=str(tmp_path)))
        self.results: list[StudyResult] = []
        self.rows: list[BenchRow] = []
        self.study = self.results.append
        self.row = self.rows.append
        self.notes: list[str] = []
        self.cut: Callable[[str], str] | None = None

    def progress(self, _done: float, _total: float | None, _unit: str, note: str = "", **_: object) -> None:
        self.notes.append(note)

    def finishing(self) -> None:
        pass

    def when_cut(self, keep: Callable[[str], str]) -> None:
        self.cut = keep


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path)


def side_of(demo_model: Path, label: str = "", *, use_mmap: bool = True) -> BenchSide:
    settings = BenchSettings(threads=1, use_mmap=use_mmap)
    return BenchSide(model_path=str(demo_model), model_name="demo", model_format="gguf", settings=settings, label=label)


def test_a_soak_has_power_on_its_axis_and_joules_a_token(
    demo_model: Path, job: Any, ten_watts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(soak, "EnergyRecorder", partial(EnergyRecorder, ten_watts))
    settings = SoakSettings(duration_s=3, sample_s=0.2)
    soak.run(SoakRequest(side=side_of(demo_model), settings=settings), job)
    (result,) = job.results
    assert isinstance(result, SoakResult)
    powers = [sample.watts for sample in result.samples]
    # The meter cannot tell of less than two seconds.
    assert powers[0] is None and powers[-1] == pytest.approx(WATTS, rel=0.1)
    assert result.energy.meter == "psys" and result.energy.rest_w == pytest.approx(WATTS, rel=0.1)
    busy_s = sum(result.chunk_tokens / sample.tps for sample in result.samples)
    assert result.energy.tokens >= result.chunk_tokens * len(result.samples)
    per_token = sum(1 / sample.tps for sample in result.samples) / len(result.samples) * WATTS
    assert busy_s > 0 and result.energy.joules_per_token == pytest.approx(per_token, rel=0.2)
    assert [chart.title for chart in study_charts(result)][-1] == "power"
    assert energy_lines(result)[0].endswith(" W at rest)") and "J/token (psys; " in energy_lines(result)[0]


def test_each_side_of_a_comparison_has_its_energy_and_so_have_their_rows(
    demo_model: Path, job: Any, ten_watts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ab, "EnergyRecorder", partial(EnergyRecorder, ten_watts))
    monkeypatch.setattr("edgetui.meters.recorder.LEAST_READINGS", 1)
    request = AbRequest(
        a=side_of(demo_model, "one"),
        b=side_of(demo_model, "other", use_mmap=False),
        settings=AbSettings(test=BenchTest(generated_tokens=16), blocks=2),
    )
    ab.run(request, job)
    (result,) = job.results
    assert isinstance(result, AbResult)
    for energy, samples, row in (
        (result.a_energy, result.a_ns, job.rows[0]),
        (result.b_energy, result.b_ns, job.rows[1]),
    ):
        assert energy.tokens == 16 * 4
        assert (row.energy_j, row.energy_meter, row.energy_reason) == (energy.joules, energy.meter, energy.reason)
        seconds = sum(samples) / 1e9
        if seconds < 0.2:
            assert energy.joules is None and "too short for a meter" in energy.reason
        else:
            assert energy.joules == pytest.approx(WATTS * seconds, rel=0.25)


def test_candidates_of_an_autotune_have_the_energy_of_all_their_repetitions(
    demo_model: Path, job: Any, ten_watts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tune, "EnergyRecorder", partial(EnergyRecorder, ten_watts))
    monkeypatch.setattr(tune, "candidates", lambda start, *_, **__: [Candidate(label="defaults", settings=start)])
    monkeypatch.setattr("edgetui.meters.recorder.LEAST_READINGS", 1)
    settings = TuneSettings(goal="decode", budget_s=5)
    tune.run(TuneRequest(side=side_of(demo_model), settings=settings), job)
    (result,) = job.results
    assert isinstance(result, TuneResult)
    (defaults,) = result.candidates
    seconds = sum(defaults.samples_ns) / 1e9
    if seconds < 0.3:
        pytest.skip("this machine is too fast for so short a test")
    assert defaults.energy.joules == pytest.approx(WATTS * seconds, rel=0.25)
    assert energy_lines(result)[0].startswith("defaults: ")


def test_without_a_meter_nothing_is_shown_and_the_reason_is_kept(
    demo_model: Path, tmp_path: Path, job: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = unfold("container-cgroup-v1", tmp_path / "machine")
    monkeypatch.setattr(soak, "EnergyRecorder", partial(EnergyRecorder, bare))
    soak.run(SoakRequest(side=side_of(demo_model), settings=SoakSettings(duration_s=1, sample_s=0.1)), job)
    (result,) = job.results
    assert isinstance(result, SoakResult) and "no meter found" in result.energy.reason
    assert all(sample.watts is None for sample in result.samples) and energy_lines(result) == []
    assert "power" not in [chart.title for chart in study_charts(result)]


def test_a_soak_that_fails_half_way_keeps_its_series_with_the_reason(
    demo_model: Path, job: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgetui.core.failures import EdgetuiError
    from edgetui.engines.llama_cpp.bench import LlamaCppRunner

    whole = LlamaCppRunner.run

    def breaks(self: LlamaCppRunner, prompt: int, generated: int) -> int:
        if sum("tok/s" in note for note in job.notes) >= 2:
            raise EdgetuiError("internal", "The engine stopped.")
        return whole(self, prompt, generated)

    monkeypatch.setattr(LlamaCppRunner, "run", breaks)
    with pytest.raises(EdgetuiError, match=r"The engine stopped\. What was measured in .* is kept \(2 samples\)"):
        soak.run(SoakRequest(side=side_of(demo_model), settings=SoakSettings(duration_s=60, sample_s=0.1)), job)
    (kept,) = Studies(job.database).all()
    assert isinstance(kept.result, SoakResult) and job.results == [kept.result]
    assert kept.result.cut_short == "The engine stopped." and len(kept.result.samples) == 2
    assert kept.result.sentence.startswith("Cut short after ") and "of 1m 00s: The engine" in kept.result.sentence
