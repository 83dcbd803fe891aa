"""Jobs outlive whoever started them, and whatever ends them leaves nothing behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import aclosing
from pathlib import Path

import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.core.jobs import JobRecord
from edgetui.services.jobs import Jobs
from edgetui.services.lab import Lab
from edgetui.store.job_folder import JobFolder
from edgetui.worker.job_events import JobEvent, JobFailed, JobProgress, JobStarted, JobSucceeded
from edgetui.worker.process_mark import process_mark
from edgetui.worker.requests import QuantizeRequest

SLOW_TYPE = "IQ4_XS"
"""Takes some ten seconds of the demo model: long enough to be met in the middle."""
QUICK_TYPE = "Q8_0"


def request(source: Path, folder: Path, type_name: str) -> QuantizeRequest:
    return QuantizeRequest(
        source=str(source),
        target=str(folder / f"made.{type_name}.gguf"),
        type_name=type_name,
        allow_requantize=True,
        threads=1,
        parent_name=source.stem,
    )


async def events_of(jobs: Jobs, job_id: str) -> list[JobEvent]:
    async with aclosing(jobs.watch(job_id)) as events:
        return [event async for event in events]


async def until_working(jobs: Jobs, job_id: str) -> int:
    """Wait until a job is in the middle of its tensors; returns its process id."""
    pid = 0
    async with aclosing(jobs.watch(job_id)) as events:
        async for event in events:
            if isinstance(event, JobStarted):
                pid = event.pid
            if isinstance(event, JobProgress) and event.done >= 3:
                return pid
    raise AssertionError("the job ended too early")


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name not in ("home", "hub"))


async def test_a_job_is_watched_from_its_first_event_to_its_last(lab: Lab, demo_model: Path, tmp_path: Path) -> None:
    record = await lab.jobs.start(request(demo_model, tmp_path, QUICK_TYPE))
    assert record.is_running and record.subject == demo_model.stem and record.goal == QUICK_TYPE
    events = await events_of(lab.jobs, record.job_id)
    assert isinstance(events[0], JobStarted) and isinstance(events[-1], JobSucceeded)
    progress = [event for event in events if isinstance(event, JobProgress)]
    assert progress[-1].done == progress[-1].total == 272
    assert progress[-1].bytes_done == 96_576_768
    ended = await lab.jobs.get(record.job_id)
    assert ended.state == "succeeded" and ended.output == str(tmp_path / "made.Q8_0.gguf")
    assert "made.Q8_0.gguf is made: 138 MiB" in ended.summary
    assert left_in(tmp_path) == ["made.Q8_0.gguf"]
    assert any("token_embd.weight" in line for line in await lab.jobs.log_tail(record.job_id, 1000))


async def test_a_cancelled_job_leaves_no_file(lab: Lab, demo_model: Path, tmp_path: Path) -> None:
    record = await lab.jobs.start(request(demo_model, tmp_path, SLOW_TYPE))
    pid = await until_working(lab.jobs, record.job_id)
    assert len(left_in(tmp_path)) == 1
    cancelled = await lab.jobs.cancel(record.job_id)
    assert (cancelled.state, cancelled.summary) == ("cancelled", "It was cancelled.")
    assert left_in(tmp_path) == [] and process_mark(pid) is None
    with pytest.raises(EdgetuiError, match="is not running: it has cancelled"):
        await lab.jobs.cancel(record.job_id)


async def test_a_job_that_does_not_end_itself_is_killed_and_leaves_no_file(
    lab: Lab, demo_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgetui.services.jobs.CANCEL_GRACE_S", 0.2)
    record = await lab.jobs.start(request(demo_model, tmp_path, SLOW_TYPE))
    pid = await until_working(lab.jobs, record.job_id)
    os.kill(pid, signal.SIGSTOP)
    cancelled = await lab.jobs.cancel(record.job_id)
    assert cancelled.state == "cancelled" and left_in(tmp_path) == []
    assert process_mark(pid) is None


async def test_a_killed_job_is_found_interrupted_its_partial_file_gone_and_runs_again(
    lab: Lab, demo_model: Path, tmp_path: Path
) -> None:
    order = request(demo_model, tmp_path, SLOW_TYPE)
    record = await lab.jobs.start(order)
    pid = await until_working(lab.jobs, record.job_id)
    (partial,) = order.partials(record.job_id)
    assert partial.exists()
    os.kill(pid, signal.SIGKILL)
    last = (await events_of(lab.jobs, record.job_id))[-1]
    assert isinstance(last, JobFailed) and last.failure.kind == "crashed"
    interrupted = await lab.jobs.get(record.job_id)
    assert interrupted.state == "interrupted" and "start it again" in interrupted.summary
    assert interrupted.ended_at is not None and not partial.exists()
    again = await lab.jobs.restart(record.job_id)
    assert again.is_running and again.job_id == record.job_id
    with pytest.raises(EdgetuiError, match="still running"):
        await lab.jobs.restart(record.job_id)
    assert await until_working(lab.jobs, record.job_id) != pid
    await lab.jobs.cancel(record.job_id)


STARTER = """
import asyncio, sys
from pathlib import Path
import msgspec
from edgetui.services.lab import Lab
from edgetui.worker.requests import JobRequest

async def start():
    lab = Lab()
    record = await lab.jobs.start(msgspec.json.decode(sys.argv[1], type=JobRequest))
    print(record.job_id)

asyncio.run(start())
"""


async def test_a_job_goes_on_when_its_starter_and_the_terminal_are_gone(
    lab: Lab, demo_model: Path, tmp_path: Path
) -> None:
    import msgspec

    order = request(demo_model, tmp_path, QUICK_TYPE)
    starter = await asyncio.create_subprocess_exec(
        sys.executable, "-c", STARTER, msgspec.json.encode(order), stdout=subprocess.PIPE, start_new_session=True
    )
    out, _ = await starter.communicate()
    job_id = out.decode().strip()
    async with aclosing(lab.jobs.watch(job_id)) as events:
        started = await anext(events)
        assert isinstance(started, JobStarted)
        assert os.getsid(started.pid) == started.pid, "the job leads a session of its own"
        os.kill(started.pid, signal.SIGHUP)
        rest = [event async for event in events]
    assert isinstance(rest[-1], JobSucceeded)
    found = {record.job_id: record.state for record in await lab.jobs.list()}
    assert found == {job_id: "succeeded"} and left_in(tmp_path) == ["made.Q8_0.gguf"]


async def test_two_edgetui_agree_about_the_same_jobs(lab: Lab, demo_model: Path, tmp_path: Path) -> None:
    other = Lab()
    record = await lab.jobs.start(request(demo_model, tmp_path, SLOW_TYPE))
    await until_working(other.jobs, record.job_id)
    assert [seen.state for seen in await other.jobs.list()] == ["running"]
    assert (await other.jobs.cancel(record.job_id)).state == "cancelled"
    assert [seen.state for seen in await lab.jobs.list()] == ["cancelled"]
    await other.jobs.restart(record.job_id)
    assert [seen.state for seen in await lab.jobs.list()] == ["running"]
    await lab.jobs.cancel(record.job_id)
    await lab.jobs.remove(record.job_id)
    assert await other.jobs.list() == ()
    await other.close()


async def test_a_job_is_removed_with_its_log_but_never_its_file_nor_while_it_runs(
    lab: Lab, demo_model: Path, tmp_path: Path
) -> None:
    record = await lab.jobs.start(request(demo_model, tmp_path, QUICK_TYPE))
    with pytest.raises(EdgetuiError, match="cancel it first") as caught:
        await lab.jobs.remove(record.job_id)
    assert caught.value.failure.kind == "busy"
    await events_of(lab.jobs, record.job_id)
    await lab.jobs.remove(record.job_id)
    assert await lab.jobs.list() == () and not list(lab.paths.jobs_dir.iterdir())
    assert left_in(tmp_path) == ["made.Q8_0.gguf"]
    with pytest.raises(EdgetuiError, match="There is no job"):
        await lab.jobs.get(record.job_id)


async def test_a_folder_whose_removal_was_broken_off_can_be_removed(lab: Lab, demo_model: Path, tmp_path: Path) -> None:
    record = await lab.jobs.start(request(demo_model, tmp_path, QUICK_TYPE))
    await events_of(lab.jobs, record.job_id)
    (lab.paths.jobs_dir / record.job_id / "lock").unlink()
    await lab.jobs.remove(record.job_id)
    assert await lab.jobs.list() == () and not list(lab.paths.jobs_dir.iterdir())


async def test_a_lost_index_is_made_again_from_the_folders(lab: Lab, demo_model: Path, tmp_path: Path) -> None:
    record = await lab.jobs.start(request(tmp_path / "none.gguf", tmp_path, QUICK_TYPE))
    await events_of(lab.jobs, record.job_id)
    known = await lab.jobs.list()
    await lab.close()
    for left in lab.paths.state_dir.glob("edgetui.db*"):
        left.unlink()
    fresh = Lab()
    found = await fresh.jobs.list()
    assert [(job.job_id, job.state, job.summary) for job in found] == [
        (job.job_id, job.state, job.summary) for job in known
    ]
    await fresh.close()


async def test_changes_are_published_to_the_last(lab: Lab, demo_model: Path, tmp_path: Path) -> None:
    seen: list[tuple[JobRecord, ...]] = []
    ended = asyncio.Event()

    def see(records: tuple[JobRecord, ...]) -> None:
        seen.append(records)
        if records and not records[0].is_running:
            ended.set()

    lab.jobs.changed.subscribe(see)
    following = asyncio.create_task(lab.jobs.follow())
    await lab.jobs.start(request(demo_model, tmp_path, QUICK_TYPE))
    await asyncio.wait_for(ended.wait(), 60)
    following.cancel()
    assert seen[-1][0].state == "succeeded"
    assert any(records and records[0].is_running and records[0].done for records in seen)


async def test_a_job_is_named_by_an_ending_that_no_other_has(lab: Lab, tmp_path: Path) -> None:
    first = await lab.jobs.start(request(tmp_path / "none.gguf", tmp_path, QUICK_TYPE))
    second = await lab.jobs.start(request(tmp_path / "none.gguf", tmp_path, QUICK_TYPE))
    ending = next(
        first.job_id[-length:] for length in range(1, 30) if not second.job_id.endswith(first.job_id[-length:])
    )
    assert (await lab.jobs.get(ending)).job_id == first.job_id
    with pytest.raises(EdgetuiError, match="There is no job nothing"):
        await lab.jobs.get("nothing")
    await events_of(lab.jobs, first.job_id)
    await events_of(lab.jobs, second.job_id)


async def test_a_number_that_went_to_another_process_is_not_signalled(
    lab: Lab, demo_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgetui.services.jobs.CANCEL_GRACE_S", 0.2)
    record = await lab.jobs.start(request(demo_model, tmp_path, SLOW_TYPE))
    pid = await until_working(lab.jobs, record.job_id)
    journal = JobFolder(lab.paths.jobs_dir / record.job_id).journal_path
    bystander = await asyncio.create_subprocess_exec(sys.executable, "-c", "input()", stdin=subprocess.PIPE)
    text = journal.read_text()
    journal.write_text(text.replace(f'"pid":{pid},', f'"pid":{bystander.pid},'))
    with pytest.raises(EdgetuiError, match="does not end: try again"):
        await lab.jobs.cancel(record.job_id)
    assert bystander.returncode is None
    bystander.terminate()
    await bystander.wait()
    journal.write_text(text)
    assert (await lab.jobs.cancel(record.job_id)).state == "cancelled"
