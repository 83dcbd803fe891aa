"""Sweeps on the real model: builds are made and measured, fail alone, and what is done stays done."""

from __future__ import annotations

import os
import shutil
import signal
from contextlib import aclosing
from pathlib import Path

import msgspec
import pytest

from edgetui.core.bench import BenchSettings
from edgetui.core.failures import EdgetuiError
from edgetui.core.frontier import FrontierLimits, judge, pick
from edgetui.core.jobs import JobRecord
from edgetui.core.models import ModelEntry
from edgetui.core.quality import QualitySettings
from edgetui.services.frontier import SweepPlan
from edgetui.services.lab import Lab
from edgetui.store.job_folder import JobFolder
from edgetui.worker.job_events import JobEvent, JobFailed, JobProgress, JobStarted, JobSucceeded
from edgetui.worker.process_mark import process_mark

QUALITY = QualitySettings(context_tokens=64, chunks=2, tasks=False, threads=2)
BENCH = BenchSettings(prompt_tokens=16, generated_tokens=4, repetitions=2, threads=2)


async def plan_of(lab: Lab, entry: ModelEntry, *builds: str, keep: bool = True) -> SweepPlan:
    return await lab.frontier.plan([entry], builds, quality=QUALITY, bench=BENCH, keep=keep)


async def last_of(lab: Lab, record: JobRecord) -> JobSucceeded | JobFailed:
    async with aclosing(lab.jobs.watch(record.job_id)) as events:
        last: JobEvent = [event async for event in events][-1]
    assert isinstance(last, JobSucceeded | JobFailed)
    return last


async def until_note(lab: Lab, record: JobRecord, words: str) -> int:
    """Wait until the job says what it does; returns its process id."""
    pid = 0
    async with aclosing(lab.jobs.watch(record.job_id)) as events:
        async for event in events:
            if isinstance(event, JobStarted):
                pid = event.pid
            if isinstance(event, JobProgress) and words in event.note:
                return pid
    raise AssertionError(f"the job never said {words}")


def size_of(path: str) -> int | None:
    return os.path.getsize(path) if os.path.exists(path) else None


def runs_of(lab: Lab, record: JobRecord) -> dict[str, int]:
    """How often each step of a job was run, by the journals in its folder."""
    steps = JobFolder(lab.paths.jobs_dir / record.job_id).steps_dir
    return {step.name: len(list(step.glob("journal*.jsonl"))) for step in steps.iterdir()}


async def test_a_sweep_makes_and_measures_each_build_and_the_evidence_decides(lab: Lab, demo_entry: ModelEntry) -> None:
    plan = await plan_of(lab, demo_entry, "Q8_0", "q4_0")
    assert [cell.label for cell in plan.request.cells] == ["Q4_1 (source)", "Q8_0", "Q4_0"]
    last = await last_of(lab, await lab.frontier.start(plan))
    assert isinstance(last, JobSucceeded), last
    assert "3 of 3 builds measured" in last.summary
    source, wide, narrow = await lab.frontier.rows()
    for row in (source, wide, narrow):
        assert row.quality is not None and row.quality.divergence is not None
        assert row.decode_tps and row.prefill_tps and row.memory_bytes and row.load_s
        assert row.size_bytes == size_of(row.path) and row.source_name == demo_entry.name
    assert source.loss is not None and wide.loss is not None and narrow.loss is not None
    # Eight bits hold what four bits and an offset can say; four bits without one lose some of it.
    assert source.loss < 1e-3 and wide.loss < narrow.loss
    limits = FrontierLimits(max_size_mib=narrow.size_bytes / 1024**2 + 1 if narrow.size_bytes else None)
    judged = judge([source, wide, narrow], limits, "size")
    assert judged[1].broken and pick(judged, limits, "size").row is not None
    again = await lab.jobs.restart((await lab.jobs.list())[0].job_id)
    assert isinstance(await last_of(lab, again), JobSucceeded)
    names = {entry.name for entry in await lab.catalog.scan()}
    assert {"SmolLM2-135M-Instruct.Q8_0", "SmolLM2-135M-Instruct.Q4_0"} <= names


async def test_what_a_sweep_finds_here_is_measured_and_not_made_again(lab: Lab, demo_entry: ModelEntry) -> None:
    first = await lab.frontier.start(await plan_of(lab, demo_entry, "Q4_0"))
    assert isinstance(await last_of(lab, first), JobSucceeded)
    again = await plan_of(lab, demo_entry, "Q4_0")
    assert again.predicted_bytes == 0 and again.request.cells[1].makes == ()


async def test_a_build_of_another_model_of_the_same_name_is_not_taken_for_this_ones(
    lab: Lab, demo_entry: ModelEntry, demo_model: Path
) -> None:
    source = lab.paths.models_dir / "mine.gguf"
    lab.paths.models_dir.mkdir(parents=True)
    shutil.copyfile(demo_model, source)
    mine = await lab.catalog.find("mine")
    first = await lab.frontier.start(await plan_of(lab, mine, "Q4_0"))
    assert isinstance(await last_of(lab, first), JobSucceeded)
    assert (await plan_of(lab, await lab.catalog.find("mine"), "Q4_0")).request.cells[1].makes == ()
    # Another file under its name.
    source.unlink()
    shutil.copyfile(demo_model, source)
    (made,) = (await plan_of(lab, await lab.catalog.find("mine"), "Q4_0")).request.cells[1].makes
    assert made.output is not None and made.output.endswith("-2.gguf")


async def test_a_sweep_that_is_cancelled_leaves_nothing_of_builds_that_are_not_kept(
    lab: Lab, demo_entry: ModelEntry
) -> None:
    plan = await plan_of(lab, demo_entry, "Q8_0", keep=False)
    record = await lab.frontier.start(plan)
    await until_note(lab, record, "Q8_0: quality")
    (temporary,) = plan.request.cells[1].temporary
    assert size_of(temporary) is not None
    await lab.jobs.cancel(record.job_id)
    assert size_of(temporary) is None and size_of(os.path.dirname(temporary)) is None


async def test_builds_that_are_not_kept_are_gone_once_they_are_measured(lab: Lab, demo_entry: ModelEntry) -> None:
    plan = await plan_of(lab, demo_entry, "Q4_0", keep=False)
    assert isinstance(await last_of(lab, await lab.frontier.start(plan)), JobSucceeded)
    row = (await lab.frontier.rows())[1]
    assert row.loss is not None and size_of(row.path) is None and size_of(os.path.dirname(row.path)) is None
    assert [entry.name for entry in await lab.catalog.scan()] == [demo_entry.name]


async def test_a_build_that_cannot_be_made_fails_alone(lab: Lab, demo_entry: ModelEntry, tmp_path: Path) -> None:
    plan = await plan_of(lab, demo_entry, "Q4_0")
    rubbish = tmp_path / "rubbish.gguf"
    rubbish.write_bytes(b"GGUF" + bytes(100))
    source, made = plan.request.cells
    broken = msgspec.structs.replace(source, cell_id="broken", label="broken", model_path=str(rubbish))
    request = msgspec.structs.replace(plan.request, cells=(broken, made))
    last = await last_of(lab, await lab.jobs.start(request))
    assert (
        isinstance(last, JobSucceeded) and "1 of 2 builds measured" in last.summary and "broken failed" in last.summary
    )
    rows = {row.label: row for row in await lab.frontier.rows()}
    assert rows["broken"].problem and rows["broken"].loss is None and rows["Q4_0"].loss is not None


async def test_a_killed_sweep_goes_on_and_does_nothing_twice(lab: Lab, demo_entry: ModelEntry) -> None:
    record = await lab.frontier.start(await plan_of(lab, demo_entry, "Q4_0"))
    pid = await until_note(lab, record, "Q4_0: quality")
    os.kill(pid, signal.SIGKILL)
    last = await last_of(lab, record)
    assert isinstance(last, JobFailed) and last.failure.kind == "crashed"
    assert (await lab.jobs.get(record.job_id)).state == "interrupted"
    before = runs_of(lab, record)
    assert isinstance(await last_of(lab, await lab.jobs.restart(record.job_id)), JobSucceeded)
    after = runs_of(lab, record)
    done_before = [name for name, runs in before.items() if name.startswith(("make", "speed")) and runs == 1]
    assert len(done_before) >= 2 and all(after[name] == 1 for name in done_before)
    assert len([row for row in await lab.frontier.rows() if not row.problem]) == 2


async def test_a_cancelled_sweep_ends_its_step_too_and_keeps_what_was_measured(
    lab: Lab, demo_entry: ModelEntry
) -> None:
    record = await lab.frontier.start(await plan_of(lab, demo_entry, "IQ4_XS"))
    await until_note(lab, record, "IQ4_XS: make, blk")
    steps = JobFolder(lab.paths.jobs_dir / record.job_id).steps_dir
    pids = [
        event.pid
        for step in steps.iterdir()
        for event in JobFolder(step).read_journal()[0]
        if isinstance(event, JobStarted)
    ]
    cancelled = await lab.jobs.cancel(record.job_id)
    assert cancelled.state == "cancelled" and all(process_mark(pid) is None for pid in pids)
    assert [row.label for row in await lab.frontier.rows()] == ["Q4_1 (source)"]
    assert list(lab.paths.models_dir.iterdir()) == []


async def test_builds_of_several_models_are_kept_apart_and_a_matrix_is_made_once(
    lab: Lab, demo_entry: ModelEntry
) -> None:
    first = await lab.frontier.start(await plan_of(lab, demo_entry, "Q8_0"))
    assert isinstance(await last_of(lab, first), JobSucceeded)
    other = await lab.catalog.find("SmolLM2-135M-Instruct.Q8_0")
    plan = await lab.frontier.plan(
        [demo_entry, other], ("IQ3_S+imatrix", "IQ4_XS+imatrix"), imatrix="make", quality=QUALITY, bench=None
    )
    cells = plan.request.cells
    made = [make.output for cell in cells for make in cell.makes if make.KIND == "quantize"]
    matrices = {make.output for cell in cells for make in cell.makes if make.KIND == "imatrix"}
    assert len(made) == len(set(made)) == 4 and len(matrices) == 2
    assert len({cell.cell_id for cell in cells}) == 6 and {cell.base.name for cell in cells} == {
        demo_entry.name,
        other.name,
    }


@pytest.mark.parametrize(
    ("build", "words"),
    [
        ("Q9_9", "knows no type Q9_9"),
        ("IQ2_XXS", "importance matrix"),
        ("Q4_0+imatrix", "name its file, or `make`"),
        ("onnx-build:precision=int5", "precision"),
        ("onnx-build:int4", "write NAME=VALUE"),
        ("onnx-bild", "knows no type ONNX-BILD"),
    ],
)
async def test_a_build_that_makes_no_sense_is_one_sentence_before_anything_starts(
    lab: Lab, demo_entry: ModelEntry, build: str, words: str
) -> None:
    with pytest.raises(EdgetuiError, match=words):
        await plan_of(lab, demo_entry, build)
    assert await lab.jobs.list() == ()


async def test_a_toolchain_that_is_missing_is_named_before_anything_starts(lab: Lab, demo_entry: ModelEntry) -> None:
    plan = await plan_of(lab, demo_entry, "mlx-quantize:bits=4")
    with pytest.raises(EdgetuiError, match="edgetui toolchain install"):
        await lab.frontier.start(plan)
    assert await lab.jobs.list() == ()
