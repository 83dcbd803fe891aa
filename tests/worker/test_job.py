"""A job's own process: what it leaves behind, however it ends."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgetui.store.database import Database
from edgetui.store.job_folder import JobFolder, JobOrder
from edgetui.store.provenance import Provenance
from edgetui.worker import spawn
from edgetui.worker.job_events import JobEvent, JobFailed, JobProgress, JobStarted, JobSucceeded
from edgetui.worker.process_mark import process_mark
from edgetui.worker.requests import QuantizeRequest
from tests.gguf_files import F32, U32, Key, Tensor, with_keys, write_gguf


def prepare(tmp_path: Path, source: Path, type_name: str = "Q8_0", *, allow_requantize: bool = True) -> JobFolder:
    request = QuantizeRequest(
        source=str(source),
        target=str(tmp_path / "models" / f"made.{type_name}.gguf"),
        type_name=type_name,
        allow_requantize=allow_requantize,
        threads=1,
        parent_name="demo",
        recovered_from="Q4_1",
    )
    order = JobOrder(request=request, created_at=0.0, database=str(tmp_path / "edgetui.db"))
    folder, lock = JobFolder.create(tmp_path / "jobs", order)
    os.close(lock)
    return folder


def spawn_job(folder: JobFolder) -> subprocess.Popen[bytes]:
    with folder.log_path.open("ab") as log:
        return subprocess.Popen(
            spawn.interpreter_command("edgetui.worker.job", str(folder.path)),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=spawn.WORKING_DIRECTORY,
            env=spawn.worker_environment(),
        )


def run_job(folder: JobFolder) -> list[JobEvent]:
    assert spawn_job(folder).wait(60) == 0
    return folder.read_journal()[0]


def until_working(folder: JobFolder, process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None:
        if any(isinstance(event, JobProgress) and event.done >= 3 for event in folder.read_journal()[0]):
            return
    raise AssertionError("the job ended too early")


def made(tmp_path: Path) -> list[str]:
    models = tmp_path / "models"
    return sorted(path.name for path in models.iterdir()) if models.exists() else []


@contextmanager
def files_no_larger_than(size_bytes: int) -> Iterator[None]:
    """A full disk, as far as the processes started meanwhile can tell."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_quantization_makes_its_file_and_records_where_it_came_from(demo_model: Path, tmp_path: Path) -> None:
    folder = prepare(tmp_path, demo_model)
    events = run_job(folder)
    first, last = events[0], events[-1]
    assert isinstance(first, JobStarted) and first.process_start > 0
    assert isinstance(last, JobSucceeded) and last.output == str(tmp_path / "models/made.Q8_0.gguf")
    assert made(tmp_path) == ["made.Q8_0.gguf"]
    origin = Provenance(Database(tmp_path / "edgetui.db")).origin_of(Path(last.output))
    assert origin is not None
    assert (origin.parent_name, origin.parent_path, origin.type_name, origin.recovered_from) == (
        "demo", str(demo_model), "Q8_0", "Q4_1",
    )  # fmt: skip


def test_terminating_it_removes_what_it_began_and_says_that_it_was_wished(demo_model: Path, tmp_path: Path) -> None:
    folder = prepare(tmp_path, demo_model, "IQ4_XS")
    process = spawn_job(folder)
    until_working(folder, process)
    assert made(tmp_path) == [f".made.IQ4_XS.gguf.{folder.job_id}.part"]
    process.send_signal(signal.SIGHUP)
    process.terminate()
    assert process.wait(10) == 0
    last = folder.read_journal()[0][-1]
    assert isinstance(last, JobFailed) and last.failure.kind == "cancelled"
    assert made(tmp_path) == [] and not folder.is_running


def test_a_file_that_appears_in_the_meantime_is_never_overwritten(demo_model: Path, tmp_path: Path) -> None:
    folder = prepare(tmp_path, demo_model)
    process = spawn_job(folder)
    until_working(folder, process)
    (tmp_path / "models/made.Q8_0.gguf").write_text("someone else's")
    process.wait(60)
    last = folder.read_journal()[0][-1]
    assert isinstance(last, JobFailed) and last.failure.kind == "exists"
    assert made(tmp_path) == ["made.Q8_0.gguf"]
    assert (tmp_path / "models/made.Q8_0.gguf").read_text() == "someone else's"


def test_a_disk_that_fills_up_on_the_way_is_one_sentence_and_leaves_no_file(demo_model: Path, tmp_path: Path) -> None:
    folder = prepare(tmp_path, demo_model)
    with files_no_larger_than(40_000_000):
        last = run_job(folder)[-1]
    assert isinstance(last, JobFailed) and last.failure.kind == "no_space"
    assert "no room for made.Q8_0.gguf in" in last.failure.message and "free some space" in last.failure.message
    assert made(tmp_path) == []


def test_a_source_that_is_gone_or_damaged_is_one_sentence(demo_model: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(demo_model.read_bytes()[:2_000_000])
    for source, kind in ((tmp_path / "none.gguf", "not_found"), (cut, "bad_file")):
        last = run_job(prepare(tmp_path, source))[-1]
        assert isinstance(last, JobFailed) and last.failure.kind == kind
        assert source.name in last.failure.message and last.failure.message.count(".\n") == 0
    assert made(tmp_path) == []


def test_a_quantized_source_without_a_yes_is_refused_by_the_job_itself(demo_model: Path, tmp_path: Path) -> None:
    last = run_job(prepare(tmp_path, demo_model, allow_requantize=False))[-1]
    assert isinstance(last, JobFailed) and last.failure.kind == "bad_request"
    assert made(tmp_path) == []


def test_a_file_that_is_not_sound_never_takes_the_targets_name(tmp_path: Path) -> None:
    # llama.cpp pads to 32 bytes whatever alignment it copies into the header of the file that it writes.
    keys = with_keys(
        Key("general.alignment", U32, 64),
        Key("llama.embedding_length", U32, 64),
        Key("llama.attention.layer_norm_rms_epsilon", F32, 1e-5),
    )
    tensors = [Tensor("token_embd.weight", (64, 5)), Tensor("blk.0.attn_q.weight", (64, 65))]
    source = write_gguf(tmp_path / "odd.gguf", keys, tensors, alignment=64)
    last = run_job(prepare(tmp_path, source))[-1]
    assert isinstance(last, JobFailed) and last.failure.kind == "bad_file"
    assert "not a sound file, so it was removed" in last.failure.message
    assert made(tmp_path) == []


def test_a_second_process_for_the_same_job_ends_at_once(demo_model: Path, tmp_path: Path) -> None:
    folder = prepare(tmp_path, demo_model)
    lock = folder.lock()
    assert lock is not None
    assert spawn_job(folder).wait(60) == 1
    os.close(lock)
    assert folder.read_journal() == ([], 0)
    assert folder.log_tail(1) == [f"edgetui: Job {folder.job_id} already runs."]


def test_a_mark_tells_a_process_from_any_other_and_from_its_remains() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    mark = process_mark(process.pid)
    assert mark is not None and mark == process_mark(process.pid)
    assert process_mark(os.getpid()) != mark
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert process_mark(process.pid) is None, "a zombie is not alive"
    process.wait()
    assert process_mark(process.pid) is None
