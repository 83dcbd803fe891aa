"""A job's folder: what is written stays readable whatever ends the writer, and one process at a time works."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import msgspec
import pytest

from edgetui.core.failures import EdgetuiError, Failure
from edgetui.store.job_folder import JobFolder, JobOrder, Journal
from edgetui.worker.job_events import JobFailed, JobProgress, JobStarted, JobSucceeded
from edgetui.worker.requests import QuantizeRequest

REQUEST = QuantizeRequest(source="/models/a.F16.gguf", target="/models/a.Q8_0.gguf", type_name="Q8_0")
STARTED = JobStarted(pid=1, process_start=2.0, at=3.0)
DONE = JobSucceeded(at=9.0, summary="Made.", output="/models/a.Q8_0.gguf")


@pytest.fixture
def folder(tmp_path: Path) -> JobFolder:
    made, lock = JobFolder.create(tmp_path / "jobs", JobOrder(request=REQUEST, created_at=1.0, database="/db"))
    os.close(lock)
    return made


def progress(done: int) -> JobProgress:
    return JobProgress(at=4.0, done=done, total=10, unit="tensors")


def test_the_request_is_read_back_as_it_was_given(folder: JobFolder) -> None:
    assert JobFolder(folder.path).order() == JobOrder(request=REQUEST, created_at=1.0, database="/db")
    assert stat.S_IMODE(folder.lock_path.stat().st_mode) == 0o600


def test_a_journal_is_read_on_from_where_reading_ended(folder: JobFolder) -> None:
    with Journal(folder) as journal:
        journal.append(STARTED)
        journal.append(progress(1))
        events, offset = folder.read_journal()
        assert events == [STARTED, progress(1)]
        journal.append(DONE)
    assert folder.read_journal(offset)[0] == [DONE]


def test_a_line_torn_by_a_crash_is_no_event_and_spoils_no_later_one(folder: JobFolder) -> None:
    folder.append(STARTED)
    with folder.journal_path.open("ab") as stream:
        stream.write(b'{"type":"JobProgress","at":4.0,"do')
    events, offset = folder.read_journal()
    assert events == [STARTED]
    failed = JobFailed(at=5.0, failure=Failure("cancelled", "It was cancelled."))
    folder.append(failed)
    assert folder.read_journal()[0] == [STARTED, failed]
    assert folder.read_journal(offset)[0] == [failed]


def test_an_event_of_a_newer_edgetui_is_passed_over(folder: JobFolder) -> None:
    folder.journal_path.write_bytes(b'{"type":"JobDreamt","at":1}\n\xff\xfe\n')
    folder.append(DONE)
    assert folder.read_journal()[0] == [DONE]


def test_one_process_at_a_time_has_the_lock(folder: JobFolder) -> None:
    assert not folder.is_running
    lock = folder.lock()
    assert lock is not None
    assert folder.is_running and folder.lock() is None
    os.close(lock)
    assert not folder.is_running


def test_a_folder_that_is_gone_is_not_made_again_by_looking_at_it(folder: JobFolder) -> None:
    folder.remove()
    assert not folder.is_running
    assert folder.read_journal() == ([], 0) and folder.log_tail(5) == []
    with pytest.raises(EdgetuiError, match="no job"):
        folder.order()
    assert not folder.path.exists()


def test_a_damaged_request_is_one_sentence(folder: JobFolder) -> None:
    folder.request_path.write_text("{")
    with pytest.raises(EdgetuiError, match="cannot be read") as caught:
        folder.order()
    assert caught.value.failure.kind == "bad_file" and str(folder.path) in str(caught.value)


def test_a_jobs_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EdgetuiError, match="cannot be written") as caught:
        JobFolder.create(tmp_path / "file", JobOrder(request=REQUEST, created_at=1.0, database="/db"))
    assert caught.value.failure.kind == "no_permission"


def test_the_tail_of_a_log_shows_no_control_sequences(folder: JobFolder) -> None:
    folder.log_path.write_bytes(b"\x1b[31mred\x1b[0m\n" * 3 + b"last\xff\n")
    tail = folder.log_tail(2)
    assert len(tail) == 2 and tail[1].startswith("last") and "\x1b" not in "".join(tail)


def test_only_the_end_of_a_long_log_is_read(folder: JobFolder) -> None:
    folder.log_path.write_text("x\n" * 1_000_000 + "end\n")
    tail = folder.log_tail(10_000_000)
    assert tail[-1] == "end" and len(tail) < 50_000


def test_a_run_begun_again_starts_with_an_empty_journal_and_keeps_the_old_one(folder: JobFolder) -> None:
    for run in (1, 2):
        folder.append(JobStarted(pid=run, process_start=0, at=0))
        folder.begin_again()
    assert folder.read_journal() == ([], 0)
    assert sorted(path.name for path in folder.path.glob("journal*")) == ["journal.1.jsonl", "journal.2.jsonl"]
    assert [event.pid for event in folder.earlier_events() if isinstance(event, JobStarted)] == [1, 2]


def test_what_was_done_of_another_request_is_nothing_to_go_on_with(folder: JobFolder) -> None:
    for request, kept in ((REQUEST, [STARTED]), (msgspec.structs.replace(REQUEST, type_name="Q4_0"), [])):
        folder.append(STARTED)
        lock = folder.renew(JobOrder(request=request, created_at=2.0, database="/db"))
        assert lock is not None and folder.earlier_events() == kept
        os.close(lock)


def test_a_partial_file_is_hidden_beside_its_target_and_short_enough_for_any_file_system() -> None:
    (partial,) = REQUEST.partials("job-1")
    assert partial == Path("/models/.a.Q8_0.gguf.job-1.part")
    (long,) = QuantizeRequest(source="/a", target=f"/models/{'ß' * 125}.gguf", type_name="Q8_0").partials(
        "20260101-000000-abcd"
    )
    assert len(long.name.encode()) <= 255


def test_progress_that_finds_no_room_is_dropped_and_spoils_no_later_event(folder: JobFolder) -> None:
    import resource

    with Journal(folder) as journal:
        journal.append(STARTED)
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (folder.journal_path.stat().st_size + 10, hard))
        try:
            journal.append(progress(1))
            journal.append(progress(2))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        journal.append(DONE)
    assert folder.read_journal()[0] == [STARTED, DONE]
