"""Benchmarks as jobs on the real model, their history, and what tells rows apart."""

from __future__ import annotations

import msgspec
import pytest

from edgetui.core.bench import BenchRecord, BenchRow, BenchSettings, Machine, labels
from edgetui.core.bench_comparison import compare
from edgetui.core.failures import EdgetuiError
from edgetui.core.models import ModelEntry
from edgetui.services.lab import Lab
from edgetui.worker.job_events import JobBenchRow, JobFailed, JobSucceeded

SMALL = BenchSettings(prompt_tokens=16, generated_tokens=4, repetitions=2, threads=1)


def record(name: str, samples_ms: list[int], tokens: int = 100, test: str = "tg") -> BenchRecord:
    row = BenchRow(
        test="tg" if test == "tg" else "pp",
        tokens=tokens,
        samples_ns=tuple(ms * 1_000_000 for ms in samples_ms),
        threads=1,
        batch_tokens=512,
        kv_cache_type="f16",
        model_name=name,
        model_path=f"/m/{name}.gguf",
        model_size_bytes=1,
        model_parameter_count=1,
        model_quant_type="Q4_0",
        engine="llama.cpp",
        engine_version="0",
        measured_at=0.0,
        load_average=None,
    )
    return BenchRecord(record_id=1, job_id=None, row=row, machine=Machine())


async def test_rows_are_measured_and_kept(lab: Lab, demo_entry: ModelEntry) -> None:
    told: list[None] = []
    lab.bench.changed.subscribe(told.append)
    job = await lab.bench.start(demo_entry, SMALL)
    last = await lab.bench.follow(job.job_id)
    assert isinstance(last, JobSucceeded) and "pp16" in last.summary and "tg4" in last.summary
    assert len(told) >= 2
    decode, prefill = await lab.bench.history()
    assert (prefill.row.name, decode.row.name) == ("pp16", "tg4")
    for kept in (prefill, decode):
        row = kept.row
        assert len(row.samples_ns) == 2 and all(ns > 0 for ns in row.samples_ns)
        assert row.mean_tps == pytest.approx(sum(row.tokens * 1e9 / ns for ns in row.samples_ns) / 2)
        assert (row.model_name, row.model_quant_type, row.threads) == (demo_entry.name, "Q4_1", 1)
        assert row.backend and row.engine_version
        assert row.model_size_bytes == 96_576_768 and row.model_parameter_count == 134_515_008
        assert kept.job_id == job.job_id and kept.machine.cpu and kept.machine.memory_bytes
    assert await lab.bench.remove([prefill.record_id, 999]) == 1
    assert [kept.record_id for kept in await lab.bench.history()] == [decode.record_id]


async def test_a_second_measurement_at_once_is_refused(lab: Lab, demo_entry: ModelEntry) -> None:
    job = await lab.bench.start(demo_entry, msgspec.structs.replace(SMALL, generated_tokens=4000, repetitions=100))
    with pytest.raises(EdgetuiError, match="spoil the figures") as caught:
        await lab.bench.start(demo_entry, SMALL)
    assert caught.value.failure.kind == "busy"
    await lab.jobs.cancel(job.job_id)
    last = await lab.bench.follow(job.job_id)
    assert isinstance(last, JobFailed) and last.failure.kind == "cancelled"


async def test_a_measurement_started_anew_waits_for_others_too(lab: Lab, demo_entry: ModelEntry) -> None:
    long = msgspec.structs.replace(SMALL, generated_tokens=4000, repetitions=100)
    first = await lab.bench.start(demo_entry, long)
    await lab.jobs.cancel(first.job_id)
    second = await lab.bench.start(demo_entry, long)
    with pytest.raises(EdgetuiError, match=f"{second.job_id} .* spoil the figures"):
        await lab.jobs.restart(first.job_id)
    await lab.jobs.cancel(second.job_id)


async def test_nothing_to_measure_is_refused(lab: Lab, demo_entry: ModelEntry) -> None:
    with pytest.raises(EdgetuiError, match="nothing to measure"):
        await lab.bench.start(demo_entry, BenchSettings(prompt_tokens=0, generated_tokens=0))


async def test_a_model_with_a_problem_is_refused_with_its_sentence(lab: Lab, demo_entry: ModelEntry) -> None:
    with pytest.raises(EdgetuiError, match="cut short"):
        await lab.bench.start(msgspec.structs.replace(demo_entry, problem="It is cut short."), SMALL)
    with pytest.raises(EdgetuiError, match="safetensors"):
        await lab.bench.start(msgspec.structs.replace(demo_entry, format="safetensors"), SMALL)
    with pytest.raises(EdgetuiError, match="edgetui server bench"):
        await lab.bench.start(msgspec.structs.replace(demo_entry, format="server"), SMALL)


def test_rows_of_one_model_are_told_apart_by_what_differs() -> None:
    two, one = record("a", [500, 505, 495]), record("a", [1000, 1010, 990])
    two = msgspec.structs.replace(two, row=msgspec.structs.replace(two.row, threads=2))
    assert compare(two, one).sentence.startswith("a: 2 threads is faster than 1 thread by 2.00x")
    assert labels([two, one]) == ["2 threads", "1 thread"]


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        (
            {"flash_attention": "on"},
            {"flash_attention": "off"},
            "flash attention on is faster than flash attention off",
        ),
        ({"kv_cache_type_v": "q8_0"}, {}, "KV f16/q8_0 is faster than KV f16 by"),
        ({"physical_batch_tokens": 512}, {"physical_batch_tokens": 128}, "ubatch 512 is faster than ubatch 128"),
        ({"gpu_layers": -1}, {"gpu_layers": 4}, "GPU layers all is faster than GPU layers 4"),
        ({"use_mmap": True}, {"use_mmap": False}, "mmap is faster than no mmap"),
        ({"huge_pages": True}, {"huge_pages": False}, "huge pages is faster than no huge pages"),
        ({"huge_pages": True, "threads": 2}, {"huge_pages": True}, "2 threads is faster than 1 thread by"),
        ({"model_quant_type": "Q4_0"}, {"model_quant_type": "Q8_0"}, "Q4_0 is faster than Q8_0"),
        ({"other_columns": (("n_cpu_moe", "0"),)}, {"other_columns": (("n_cpu_moe", "9"),)}, "n_cpu_moe 0 is faster"),
        ({"threads": 2, "use_mmap": True}, {}, "2 threads is faster than 1 thread by"),
    ],
)
def test_every_setting_tells_rows_apart(one: dict[str, object], other: dict[str, object], said: str) -> None:
    fast, slow = record("a", [500, 505, 495]), record("a", [1000, 1010, 990])
    fast = msgspec.structs.replace(fast, row=msgspec.structs.replace(fast.row, **one))
    slow = msgspec.structs.replace(slow, row=msgspec.structs.replace(slow.row, **other))
    assert compare(fast, slow).sentence.startswith(f"a: {said}")


def test_rows_of_one_model_with_the_same_settings_are_told_apart_by_time() -> None:
    first, second = record("a", [500, 505]), record("a", [500, 505])
    second = msgspec.structs.replace(second, row=msgspec.structs.replace(second.row, measured_at=3600.0))
    earlier, later = labels([first, second])
    assert earlier != later and earlier[-6:] == later[-6:] == ":00:00"[-6:]


def test_a_setting_that_differs_is_told_beside_the_names() -> None:
    first, second = record("a", [500, 505]), record("b", [500, 505])
    second = msgspec.structs.replace(second, row=msgspec.structs.replace(second.row, kv_cache_type="q8_0"))
    assert labels([first, second]) == ["a (KV f16)", "b (KV q8_0)"]


async def test_a_measurement_goes_on_where_it_was(lab: Lab, demo_entry: ModelEntry) -> None:
    settings = msgspec.structs.replace(SMALL, generated_tokens=64, repetitions=10)
    job = await lab.bench.start(demo_entry, settings)
    async for event in lab.jobs.watch(job.job_id):
        if isinstance(event, JobBenchRow):
            await lab.jobs.cancel(job.job_id)
            break
    (first,) = [record.row for record in await lab.bench.history()]
    assert first.name == "pp16"
    await lab.jobs.restart(job.job_id)
    told = [event.row async for event in lab.jobs.watch(job.job_id) if isinstance(event, JobBenchRow)]
    assert told[0] == first and [row.name for row in told] == ["pp16", "tg64"]
    assert [record.row for record in await lab.bench.history()] == told[::-1]
