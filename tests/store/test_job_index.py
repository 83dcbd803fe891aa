"""A job's row tells what its journal says."""

from __future__ import annotations

from pathlib import Path

from edgetui.core.bench import BenchSettings
from edgetui.core.failures import Failure
from edgetui.store.database import Database
from edgetui.store.job_folder import JobOrder
from edgetui.store.job_index import JobIndex, advance, first_record
from edgetui.worker.job_events import JobFailed, JobProgress, JobStarted, JobSucceeded
from edgetui.worker.requests import BenchRequest, QuantizeRequest

QUANTIZE = JobOrder(
    request=QuantizeRequest(
        source="/m/tiny.F16.gguf", target="/m/tiny.Q8_0.gguf", type_name="Q8_0", parent_name="tiny.F16"
    ),
    created_at=10.0,
    database="/db",
)
STARTED = JobStarted(pid=1, process_start=2.0, at=11.0)
PROGRESS = JobProgress(at=13.0, done=3, total=12, unit="tensors", note="blk.0", bytes_done=50, bytes_total=100)


def test_a_journal_becomes_a_record() -> None:
    record = advance(first_record("a", QUANTIZE), [STARTED, PROGRESS])
    assert (record.kind, record.subject, record.goal, record.state) == ("quantize", "tiny.F16", "Q8_0", "running")
    assert record.fraction == 0.5 and record.bytes_per_s == 25.0 and record.remaining_s(13.0) == 2.0
    done = advance(record, [JobSucceeded(at=15.0, summary="Made.", output="/m/tiny.Q8_0.gguf")])
    assert (done.state, done.summary, done.output) == ("succeeded", "Made.", "/m/tiny.Q8_0.gguf")
    assert done.duration_s(99.0) == 4.0 and done.remaining_s(99.0) is None


def test_a_wished_end_is_not_a_failure() -> None:
    running = advance(first_record("a", QUANTIZE), [STARTED])
    assert advance(running, [JobFailed(at=1, failure=Failure("cancelled", "x"))]).state == "cancelled"
    assert advance(running, [JobFailed(at=1, failure=Failure("no_space", "x"))]).state == "failed"


def test_figures_that_nobody_reported_are_not_made_up() -> None:
    record = advance(first_record("a", QUANTIZE), [STARTED])
    assert record.fraction is record.bytes_per_s is record.remaining_s(12.0) is None
    assert first_record("a", QUANTIZE).duration_s(12.0) is None
    # Repetitions of prefill and decode take very different times.
    measuring = advance(record, [JobProgress(at=13.0, done=5, total=10, unit="repetitions")])
    assert measuring.fraction == 0.5 and measuring.remaining_s(13.0) is None


def test_a_benchmark_is_named_by_its_tests() -> None:
    request = BenchRequest(model="/m/a.gguf", model_name="a", settings=BenchSettings(prompt_tokens=0))
    record = first_record("b", JobOrder(request=request, created_at=0.0, database="/db"))
    assert (record.kind, record.subject, record.goal, record.output) == ("bench", "a", "tg128", None)


def test_rows_come_back_newest_first_and_go_when_told(tmp_path: Path) -> None:
    index = JobIndex(Database(tmp_path / "db"))
    old = first_record("old", QUANTIZE)
    new = first_record("new", JobOrder(request=QUANTIZE.request, created_at=20.0, database="/db"))
    index.put(old)
    index.put(new)
    ended = advance(old, [STARTED, JobSucceeded(at=12.0, summary="Made.")])
    index.put(ended)
    assert index.records() == {"new": new, "old": ended}
    index.remove("new")
    assert list(index.records()) == ["old"]
