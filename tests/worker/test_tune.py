"""An autotune's search and finals: a real short run, and finals made up where a noisy machine is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgetui.core.bench import BenchSettings, BenchTest
from edgetui.core.studies import AbResult, Candidate, TuneResult, TuneSettings
from edgetui.core.tune_verdict import left_out
from edgetui.worker.requests import TuneRequest
from edgetui.worker.runners import tune
from tests.core.test_tune_verdict import final
from tests.worker.test_study_energy import Job, side_of

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

ONE = BenchSettings(threads=1)


def some(start: BenchSettings, *_: object, **__: object) -> list[Candidate]:
    """Three to try beside the defaults, so that the search has someone to drop."""
    changed = [BenchSettings(threads=1, use_mmap=False), BenchSettings(threads=1, flash_attention="off")]
    changed.append(BenchSettings(threads=1, flash_attention="on"))
    return [
        Candidate(label="defaults", settings=start),
        *(Candidate(label=f"other {n}", settings=settings) for n, settings in enumerate(changed)),
    ]


def test_each_candidate_has_the_defaults_beside_it_and_two_come_to_the_finals(
    demo_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tune, "candidates", some)
    # Work of an instant and an interval that is soon narrow enough: a busy machine reaches everything too.
    monkeypatch.setattr(tune, "test_for", lambda *_, **__: BenchTest(generated_tokens=2))
    monkeypatch.setattr(tune, "UNTIL_PERCENT", 100.0)
    job: Any = Job(tmp_path)
    tune.run(TuneRequest(side=side_of(demo_model), settings=TuneSettings(budget_s=60, start=ONE)), job)
    (result,) = job.results
    assert isinstance(result, TuneResult)
    defaults, *others = result.candidates
    assert all(len(each.samples_ns) == len(each.defaults_ns) > 0 for each in others)
    # All of the defaults' samples are beside somebody's, but the first look.
    beside = [ns for each in others for ns in each.defaults_ns]
    assert sorted(defaults.samples_ns[1:]) == sorted(beside)
    assert len(result.finals) >= 2 and result.final in result.finals
    assert [each.b.label for each in result.finals] == ["defaults"] * len(result.finals)
    assert {each.label for each in left_out(result.candidates, result.finals)} < {each.label for each in others}


def test_after_a_finalist_that_does_not_win_come_others_until_one_does(
    demo_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slower, faster = [100.0, 101, 99, 100], [20.0, 21, 19, 20]
    asked: list[str] = []

    def compare(_self: object, chosen: Candidate, _budget_s: float) -> AbResult:
        asked.append(chosen.label)
        return final(chosen.label, faster if chosen.label == "third" else slower, [80, 80, 81, 79])

    monkeypatch.setattr(tune._Tuning, "_compare", compare)
    tuning = tune._Tuning(
        TuneRequest(side=side_of(demo_model), settings=TuneSettings(budget_s=600)),
        Job(tmp_path),  # type: ignore[arg-type]
    )
    tuning._start = Candidate(label="defaults", settings=ONE, samples_ns=(1_000,), rounds=1)
    searched = [
        Candidate(label=label, settings=ONE, samples_ns=(100,), defaults_ns=(gain,), rounds=1)
        for label, gain in (("lucky", 1700), ("second", 1100), ("third", 560), ("fourth", 100))
    ]
    finals = tuning._finals([tuning._start, *searched])
    assert asked == ["lucky", "second", "third"] and len(finals) == 3


def test_a_profile_that_cannot_be_read_is_not_written_over(
    demo_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tune, "candidates", some)
    monkeypatch.setattr(
        tune._Tuning, "_compare", lambda _self, chosen, _s: final(chosen.label, [20, 21, 19, 20], [80, 80, 81, 79])
    )
    job: Any = Job(tmp_path)
    job.database.write(
        "INSERT INTO profiles (model, machine, name, used_at, profile) VALUES ('m', 'box', 'fastest decode', 1, '{}')"
    )
    request = TuneRequest(
        side=side_of(demo_model),
        settings=TuneSettings(budget_s=8, start=ONE),
        profile_model="m",
        profile_machine="box",
    )
    monkeypatch.setattr(tune, "test_for", lambda *_, **__: BenchTest(generated_tokens=2))
    tune.run(request, job)
    (result,) = job.results
    assert isinstance(result, TuneResult) and result.best is not None and result.profile == ""
    assert "not saved as a profile" in result.sentence and "cannot be read here" in result.sentence
    assert job.database.read("SELECT profile FROM profiles")[0]["profile"] == "{}"


def test_what_wins_beside_other_programs_is_not_saved(
    demo_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tune, "candidates", some)
    monkeypatch.setattr(tune, "test_for", lambda *_, **__: BenchTest(generated_tokens=2))
    request = TuneRequest(
        side=side_of(demo_model),
        settings=TuneSettings(budget_s=8, start=ONE),
        profile_model="m",
        profile_machine="box",
    )

    def tuned(others: float, folder: Path) -> tuple[TuneResult, Job]:
        folder.mkdir()
        monkeypatch.setattr(
            tune._Tuning,
            "_compare",
            lambda _self, chosen, _s: final(chosen.label, [20, 21, 19, 20], [80, 80, 81, 79], others),
        )
        job: Any = Job(folder)
        tune.run(request, job)
        (result,) = job.results
        assert isinstance(result, TuneResult)
        return result, job

    result, job = tuned(0.5, tmp_path / "busy")
    assert result.best is None and result.best_label == "defaults" and result.profile == ""
    assert "nothing was saved" in result.sentence and "other programs took 50%" in result.sentence
    assert job.database.read("SELECT profile FROM profiles") == []
    result, job = tuned(0.05, tmp_path / "quiet")
    assert result.best is not None and result.profile == "fastest decode"
    assert len(job.database.read("SELECT profile FROM profiles")) == 1
