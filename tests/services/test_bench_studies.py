"""Matrices, A/B comparisons, soaks, load times and autotune as jobs on the real model."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import msgspec
import pytest

from edgetui.core.bench import BenchRow, BenchSettings, BenchTest
from edgetui.core.bench_comparison import compare_all
from edgetui.core.bench_matrix import Matrix
from edgetui.core.bench_noise import crowd_in
from edgetui.core.failures import EdgetuiError
from edgetui.core.jobs import JobRecord
from edgetui.core.models import ModelEntry
from edgetui.core.studies import (
    AS_A_CHAT,
    AbResult,
    AbSettings,
    LoadTimeSettings,
    LoadTimesResult,
    SoakResult,
    SoakSettings,
    StudyResult,
    TuneResult,
    TuneSettings,
)
from edgetui.core.study_text import kind_of
from edgetui.services.bench import side_of
from edgetui.services.lab import Lab
from edgetui.worker.job_events import JobBenchRow, JobFailed, JobProgress, JobStarted, JobStudy, JobSucceeded
from edgetui.worker.requests import TuneRequest
from edgetui.worker.runners.soak_series import NOT_ENDED

ONE = BenchSettings(threads=1)


@pytest.fixture
def short_entry(short_model: Path, demo_entry: ModelEntry) -> ModelEntry:
    return msgspec.structs.replace(
        demo_entry,
        name=short_model.stem,
        path=short_model,
        parts=(short_model,),
        size_bytes=short_model.stat().st_size,
        quant_type="F16",
        fingerprint="short",
    )


async def rows_of(lab: Lab, job: JobRecord) -> list[BenchRow]:
    """The job's rows in the order in which they were measured."""
    return [record.row for record in reversed(await lab.bench.history()) if record.job_id == job.job_id]


async def result_of(lab: Lab, job: JobRecord) -> StudyResult:
    """What the job's event tells, which must be what the database keeps."""
    told = [event.result async for event in lab.jobs.watch(job.job_id) if isinstance(event, JobStudy)]
    (kept,) = [study for study in await lab.bench.studies() if study.job_id == job.job_id]
    assert told == [kept.result] and kept.machine.cpu
    return kept.result


async def test_a_cell_that_fails_does_not_stop_the_others(lab: Lab, short_entry: ModelEntry) -> None:
    matrix = Matrix(
        prompt_tokens=(4, 8),
        generated_tokens=(2,),
        prompt_and_generated=((4, 2),),
        threads=(1,),
        # A quantized V cache needs flash attention.
        kv_cache_type=("q8_0",),
        flash_attention=("off", "on"),
        repetitions=2,
    )
    job = await lab.bench.start_matrix([short_entry], matrix)
    last = await lab.bench.follow(job.job_id)
    assert isinstance(last, JobSucceeded) and "1 of 2 settings measured" in last.summary
    assert "failed: flash attention off (" in last.summary and "flash attention" in last.summary.partition("(")[2]
    rows = await rows_of(lab, job)
    assert [row.name for row in rows] == ["pp4", "pp8", "tg2", "pp4+tg2"]
    for row in rows:
        assert (row.kv_cache_type, row.kv_cache_type_v, row.flash_attention) == ("q8_0", "q8_0", "on")
        assert (row.physical_batch_tokens, row.gpu_layers, row.use_mmap, row.fingerprint) == (512, -1, True, "short")
        assert row.stopped_by == "repetitions" and row.conditions is not None
    # A pg test's rate is over both parts.
    both = rows[3]
    assert both.samples_tps[0] == pytest.approx(6e9 / both.samples_ns[0])


async def test_a_cancelled_matrix_goes_on_where_it_was(
    lab: Lab, demo_entry: ModelEntry, short_entry: ModelEntry
) -> None:
    matrix = Matrix(prompt_tokens=(), generated_tokens=(24,), threads=(1,), repetitions=8)
    job = await lab.bench.start_matrix([short_entry, demo_entry], matrix)
    async for event in lab.jobs.watch(job.job_id):
        if isinstance(event, JobBenchRow):
            await lab.jobs.cancel(job.job_id)
            break
    (first,) = await rows_of(lab, job)
    assert first.model_name == short_entry.name
    await lab.jobs.restart(job.job_id)
    last = await lab.bench.follow(job.job_id)
    assert isinstance(last, JobSucceeded) and "2 of 2 settings measured" in last.summary
    rows = await rows_of(lab, job)
    assert [row.model_name for row in rows] == [short_entry.name, demo_entry.name] and rows[0] == first


async def test_a_matrix_of_which_nothing_can_be_measured_fails(lab: Lab, short_entry: ModelEntry) -> None:
    matrix = Matrix(prompt_tokens=(4,), threads=(1,), kv_cache_type=("q8_0", "q4_0"), flash_attention=("off",))
    # One model given twice has each label twice.
    last = await lab.bench.follow((await lab.bench.start_matrix([short_entry, short_entry], matrix)).job_id)
    assert isinstance(last, JobFailed) and "None of the 4 settings" in last.failure.message


async def test_two_models_by_turns_tell_the_faster_one(
    lab: Lab, demo_entry: ModelEntry, short_entry: ModelEntry
) -> None:
    settings = AbSettings(test=BenchTest(prompt_tokens=16), blocks=3)
    job = await lab.bench.start_ab(side_of(short_entry, ONE), side_of(demo_entry, ONE), settings)
    last = await lab.bench.follow(job.job_id)
    result = await result_of(lab, job)
    assert isinstance(result, AbResult) and isinstance(last, JobSucceeded)
    assert len(result.a_ns) == len(result.b_ns) == 6 and not result.reloaded and result.settings == settings
    # Three layers of thirty, though without quantized weights: several times faster on any machine.
    assert result.ratio is not None and result.ratio.low <= result.ratio.ratio <= result.ratio.high
    assert result.ratio.ratio > 1 and "3 paired ABBA blocks; bootstrap, seed 0" in result.sentence == last.summary
    a, b = reversed([record for record in await lab.bench.history() if record.job_id == job.job_id])
    assert [each.row.model_name for each in (a, b)] == [short_entry.name, demo_entry.name]
    # Its rows say what it says, with its figures.
    assert result.mean_tps == pytest.approx((a.row.mean_tps, b.row.mean_tps))
    (compared,) = compare_all([b, a], await lab.bench.studies())
    assert compared.ratio == result.ratio and compared.sentence.endswith(result.sentence)


async def test_a_comparison_of_equals_is_refused(lab: Lab, demo_entry: ModelEntry) -> None:
    side = side_of(demo_entry, ONE)
    with pytest.raises(EdgetuiError, match="Both sides are the same"):
        await lab.bench.start_ab(side, side, AbSettings())
    with pytest.raises(EdgetuiError, match="nothing to measure"):
        await lab.bench.start_ab(side, side_of(demo_entry, BenchSettings(threads=2)), AbSettings(test=BenchTest()))


async def test_what_a_form_would_refuse_the_service_refuses_too(lab: Lab, demo_entry: ModelEntry) -> None:
    side, other = side_of(demo_entry, ONE), side_of(demo_entry, BenchSettings(threads=2))
    for starting, name in (
        (lab.bench.start_soak(demo_entry, SoakSettings(duration_s=0.2)), "duration-s"),
        (lab.bench.start_load_times(demo_entry, LoadTimeSettings(repetitions=500)), "repetitions"),
        (lab.bench.start_tune(demo_entry, TuneSettings(budget_s=1)), "budget-s"),
        (lab.bench.start_ab(side, other, AbSettings(blocks=1000)), "blocks"),
        (lab.bench.start(demo_entry, BenchSettings(threads=-1)), "threads"),
    ):
        with pytest.raises(EdgetuiError, match=f"value for {name} cannot be used"):
            await starting
    assert await lab.jobs.list() == ()


async def test_settings_that_an_engine_does_not_apply_are_refused_by_name(lab: Lab, demo_entry: ModelEntry) -> None:
    entry = msgspec.structs.replace(demo_entry, format="mlx")
    with pytest.raises(EdgetuiError, match=r"mlx, which measures .* does nothing with KV q8_0"):
        side_of(entry, BenchSettings(kv_cache_type="q8_0"))
    with pytest.raises(EdgetuiError, match="does nothing with flash attention on: leave that setting at auto"):
        await lab.bench.start_matrix([entry], Matrix(flash_attention=("auto", "on")))
    side = msgspec.structs.replace(side_of(entry, BenchSettings()), model_format="onnx")
    with pytest.raises(EdgetuiError, match=r"onnxruntime-genai, .* GPU layers 0"):
        await lab.bench.start_ab(
            side, msgspec.structs.replace(side, settings=BenchSettings(gpu_layers=0)), AbSettings()
        )
    side_of(entry, BenchSettings(threads=1, batch_tokens=64))
    assert await lab.jobs.list() == ()


async def test_a_soak_is_a_series_on_one_axis(lab: Lab, short_entry: ModelEntry) -> None:
    job = await lab.bench.start_soak(short_entry, SoakSettings(duration_s=1, sample_s=0.05, settings=ONE))
    await lab.bench.follow(job.job_id)
    result = await result_of(lab, job)
    assert isinstance(result, SoakResult) and result.threads == 1 and result.chunk_tokens >= 1
    assert result.sample_s == 0.05
    times = [sample.at_s for sample in result.samples]
    assert len(times) >= 2 and times == sorted(times) and times[-1] >= 1
    assert all(sample.tps > 0 for sample in result.samples) and result.sentence


async def test_a_cancelled_soak_keeps_what_it_has_measured(lab: Lab, short_entry: ModelEntry) -> None:
    job = await lab.bench.start_soak(short_entry, SoakSettings(duration_s=600, sample_s=0.05, settings=ONE))
    async for event in lab.jobs.watch(job.job_id):
        if isinstance(event, JobProgress) and "tok/s" in event.note:
            break
    cancelled = await lab.jobs.cancel(job.job_id)
    assert cancelled.state == "cancelled" and cancelled.summary.startswith("It was cancelled. What was measured in ")
    result = await result_of(lab, job)
    assert isinstance(result, SoakResult) and result.samples and result.cut_short == "it was cancelled"
    assert result.sentence.startswith("Cut short after ") and "of 10m 00s: it was cancelled." in result.sentence
    assert kind_of(result) == f"soak {result.samples[-1].at_s:.0f} of 600 s"


async def test_a_killed_soak_keeps_what_was_written_by_then(lab: Lab, short_entry: ModelEntry) -> None:
    job = await lab.bench.start_soak(short_entry, SoakSettings(duration_s=600, sample_s=0.05, settings=ONE))
    pid = 0
    async for event in lab.jobs.watch(job.job_id):
        pid = event.pid if isinstance(event, JobStarted) else pid
        if isinstance(event, JobProgress) and event.done > 0:
            break
    os.kill(pid, signal.SIGKILL)
    (study,) = await lab.bench.studies()
    assert isinstance(study.result, SoakResult) and study.job_id == job.job_id
    assert study.result.samples and study.result.cut_short == NOT_ENDED
    assert "had come so far" in study.result.sentence


async def test_load_times_say_what_was_in_memory_before(lab: Lab, short_entry: ModelEntry) -> None:
    job = await lab.bench.start_load_times(short_entry, LoadTimeSettings(repetitions=1, settings=ONE))
    await lab.bench.follow(job.job_id)
    result = await result_of(lab, job)
    assert isinstance(result, LoadTimesResult) and result.size_bytes == short_entry.size_bytes
    (warm,) = result.warm
    assert warm.seconds > 0 and warm.first_token_s > 0
    for cold in result.cold:
        assert cold.cached_share is None or warm.cached_share is None or cold.cached_share <= warm.cached_share


async def test_autotune_ends_within_its_budget_with_a_profile_or_the_defaults(
    lab: Lab, short_entry: ModelEntry
) -> None:
    job = await lab.bench.start_tune(short_entry, TuneSettings(goal="prefill", budget_s=6, start=ONE))
    last = await lab.bench.follow(job.job_id)
    result = await result_of(lab, job)
    assert isinstance(result, TuneResult) and isinstance(last, JobSucceeded) and result.sentence in last.summary
    assert result.candidates[0].settings == ONE and result.candidates[0].samples_ns
    assert result.settings == TuneSettings(goal="prefill", budget_s=6, start=ONE)
    profiles = await lab.profiles.all()
    if result.best is None:
        # On a busy machine the budget may end before anything else was tried, and what wins beside others is not saved.
        assert "defaults" in result.sentence and profiles == [] and result.profile == ""
    else:
        assert result.final is not None and result.final.ratio is not None and result.final.ratio.low > 1
        assert not crowd_in(result.final.conditions)
        (profile,) = profiles
        assert profile.name == result.profile == "fastest prefill" and "the defaults" in profile.note
        # One more thread for a prompt is none for what is generated.
        assert profile.load.threads == 1
        assert profile.load.threads_prefill == (0 if result.best.threads == 1 else result.best.threads)


async def test_autotune_begins_from_what_a_chat_takes(
    lab: Lab, short_entry: ModelEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[TuneRequest] = []

    async def start_alone(_: object, request: TuneRequest) -> None:
        asked.append(request)

    monkeypatch.setattr(type(lab.jobs), "start_alone", start_alone)
    await lab.bench.start_tune(short_entry, TuneSettings())
    await lab.bench.start_tune(msgspec.structs.replace(short_entry, format="mlx"), TuneSettings())
    # Another engine has none of those settings.
    assert [request.side.settings for request in asked] == [AS_A_CHAT, BenchSettings()]
    assert [request.settings.start for request in asked] == [AS_A_CHAT, BenchSettings()]


async def test_nothing_is_tuned_where_the_model_does_not_load(lab: Lab, demo_entry: ModelEntry, tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_text("not a model")
    entry = msgspec.structs.replace(demo_entry, path=broken, parts=(broken,))
    last = await lab.bench.follow((await lab.bench.start_tune(entry, TuneSettings(budget_s=5))).job_id)
    assert isinstance(last, JobFailed) and "broken.gguf" in last.failure.message
