"""A job's folder: its request, its journal (the truth about it), its log, and the lock that its process holds."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import shutil
import time
from contextlib import suppress
from pathlib import Path

import msgspec

from edgetui.core.failures import EdgetuiError
from edgetui.core.plain_text import plain_text
from edgetui.formats.hub_cache import partial_blob_files, repo_folder
from edgetui.worker.job_events import JobEvent, JobFailed, JobProgress, JobSucceeded
from edgetui.worker.requests import DownloadRequest, JobRequest

LOG_TAIL_BYTES = 64 * 1024
"""How much of a log's end is read to show its last lines."""


class JobOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What `request.json` holds."""

    request: JobRequest
    created_at: float
    """Unix time in seconds."""
    database: str
    """Where the job records what it made."""
    toolchains: str = ""
    """Folder of the toolchains' environments."""


_order_decoder: msgspec.json.Decoder[JobOrder] = msgspec.json.Decoder(JobOrder)
_event_decoder: msgspec.json.Decoder[JobEvent] = msgspec.json.Decoder(JobEvent)


class JobFolder:
    """The files of one job; whoever runs it holds the lock, and the system frees it when that process ends."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.job_id = path.name
        self.request_path = path / "request.json"
        self.journal_path = path / "journal.jsonl"
        self.log_path = path / "log.txt"
        self.lock_path = path / "lock"
        self.steps_dir = path / "steps"
        """A folder like this one for each step that the job runs in a process of its own."""

    @property
    def owner_id(self) -> str:
        """The job that a person started: this one's own id, or that of the job whose step this is."""
        folder = self.path
        while folder.parent.name == self.steps_dir.name:
            folder = folder.parent.parent
        return folder.name

    @classmethod
    def create(cls, jobs_dir: Path, order: JobOrder) -> tuple[JobFolder, int]:
        """Make a folder; returns it with its lock, already held.

        Raises `EdgetuiError`: `no_permission`, `no_space`.
        """
        folder = cls(jobs_dir / f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}")
        try:
            folder.path.mkdir(parents=True)
            folder.lock_path.touch(mode=0o600)
            lock = folder.lock()
            assert lock is not None, "nobody else knows this folder yet"
            folder._write_order(order)
        except OSError as error:
            shutil.rmtree(folder.path, ignore_errors=True)
            raise EdgetuiError(
                "no_space" if error.errno == errno.ENOSPC else "no_permission",
                f"The folder {jobs_dir} for jobs cannot be written ({error.strerror}): make room there or make it"
                " writable.",
            ) from error
        return folder, lock

    def renew(self, order: JobOrder) -> int | None:
        """Make this folder, or ready it for another run, of this order; returns its lock, held.

        None while a process of an earlier run still holds it. Raises OSError.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        self.lock_path.touch(mode=0o600)
        lock = self.lock()
        if lock is not None:
            if self.request_path.exists():
                self.remove_partial()
            self.begin_again()
            if not self._has_request(order.request):
                # What was done of another request is nothing to go on with.
                for journal in self._earlier_journals():
                    journal.unlink()
            self._write_order(order)
        return lock

    def _has_request(self, request: JobRequest) -> bool:
        try:
            return self.order().request == request
        except EdgetuiError:
            return False

    def _write_order(self, order: JobOrder) -> None:
        # Under its name only when complete: a folder without a request is not a job to anyone.
        written = self.path / "request.json.new"
        written.write_bytes(msgspec.json.encode(order))
        written.rename(self.request_path)

    def order(self) -> JobOrder:
        """What the job is to do; raises `EdgetuiError`: `not_found`, `bad_file`."""
        try:
            return _order_decoder.decode(self.request_path.read_bytes())
        except OSError as error:
            raise EdgetuiError("not_found", f"There is no job {self.job_id} any more.") from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise EdgetuiError(
                "bad_file",
                f"The request of job {self.job_id} cannot be read (damaged, or of a newer edgetui): remove the folder"
                f" {self.path}.",
                detail=str(error),
            ) from error

    def lock(self) -> int | None:
        """Take the lock that the job's process holds; None while another process has it. Close it to free it.

        Raises `FileNotFoundError` for a folder that is gone.
        """
        return self._try_lock(fcntl.LOCK_EX)

    @property
    def is_running(self) -> bool:
        """Whether a process works on it."""
        try:
            descriptor = self._try_lock(fcntl.LOCK_SH)
        except FileNotFoundError:
            return False
        if descriptor is None:
            return True
        os.close(descriptor)
        return False

    def read_journal(self, offset: int = 0) -> tuple[list[JobEvent], int]:
        """Whole events from `offset` on, and where to go on; a line torn by a crash is no event."""
        return _read_events(self.journal_path, offset)

    def earlier_events(self) -> list[JobEvent]:
        """Whole events of the runs of the same request before this one."""
        return [event for journal in self._earlier_journals() for event in _read_events(journal, 0)[0]]

    def _earlier_journals(self) -> list[Path]:
        return sorted(self.path.glob("journal.*.jsonl"), key=lambda path: int(path.suffixes[0].lstrip(".")))

    def append(self, event: JobEvent) -> None:
        """Write one event from outside its process, which must be gone; on disk when this returns."""
        with Journal(self) as journal:
            journal.append(event)

    def begin_again(self) -> None:
        """Put the journal of the last run aside; the lock must be held."""
        if self.journal_path.exists():
            runs = len(self._earlier_journals())
            self.journal_path.rename(self.path / f"journal.{runs + 1}.jsonl")

    def log_tail(self, lines: int) -> list[str]:
        """The last lines of the log, safe to show."""
        try:
            with self.log_path.open("rb") as stream:
                size = stream.seek(0, os.SEEK_END)
                stream.seek(max(0, size - LOG_TAIL_BYTES))
                text = stream.read().decode("utf-8", "replace")
        except FileNotFoundError:
            return []
        return plain_text(text).splitlines()[-lines:]

    def remove_partial(self) -> None:
        """Remove what an unfinished run left beside its target; the lock must be held."""
        if self.steps_dir.is_dir():
            for step in self.steps_dir.iterdir():
                JobFolder(step).remove_partial()
        with suppress(EdgetuiError, OSError):
            request = self.order().request
            if isinstance(request, DownloadRequest):
                _remove_partial_blobs(request, self._wanted_by_others())
            for partial in request.partials(self.job_id):
                if partial.is_dir() and not partial.is_symlink():
                    shutil.rmtree(partial, ignore_errors=True)
                else:
                    partial.unlink(missing_ok=True)

    def _wanted_by_others(self) -> set[str]:
        """Contents that other downloads name: what has come of them is theirs too."""
        wanted: set[str] = set()
        for path in self.path.parent.iterdir():
            if path != self.path:
                with suppress(EdgetuiError, OSError):
                    request = JobFolder(path).order().request
                    if isinstance(request, DownloadRequest):
                        wanted |= {file.sha256 or file.git_id for file in request.files}
        return wanted

    def remove(self) -> None:
        """Remove the folder; the lock must be held."""
        shutil.rmtree(self.path, ignore_errors=True)

    def _try_lock(self, kind: int) -> int | None:
        # Never made here: a folder that is being removed would stay for it.
        descriptor = os.open(self.lock_path, os.O_RDWR)
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except OSError:
            os.close(descriptor)
            raise
        return descriptor


class Journal:
    """Appends events to a job's journal; used by whoever holds the job's lock."""

    def __init__(self, folder: JobFolder) -> None:
        self._descriptor = os.open(folder.journal_path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        size = os.lseek(self._descriptor, 0, os.SEEK_END)
        self._torn = size > 0 and os.pread(self._descriptor, 1, size - 1) != b"\n"

    def append(self, event: JobEvent) -> None:
        """Write one event; a last one is on disk when this returns.

        Progress that finds no room on the disk is dropped; for any other event this raises `OSError`.
        """
        # A torn line stays a line of its own, which no reader takes for an event.
        line = (b"\n" if self._torn else b"") + msgspec.json.encode(event) + b"\n"
        try:
            self._torn = os.write(self._descriptor, line) < len(line)
        except OSError:
            if not isinstance(event, JobProgress):
                raise
        if is_last(event):
            os.fsync(self._descriptor)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def is_last(event: JobEvent) -> bool:
    """Whether an event ends a run."""
    return isinstance(event, JobSucceeded | JobFailed)


def _read_events(journal: Path, offset: int) -> tuple[list[JobEvent], int]:
    try:
        with journal.open("rb") as stream:
            stream.seek(offset)
            data = stream.read()
    except FileNotFoundError:
        return [], 0
    whole = data[: data.rfind(b"\n") + 1]
    events = []
    for line in whole.splitlines():
        with suppress(msgspec.DecodeError, UnicodeDecodeError):
            events.append(_event_decoder.decode(line))
    return events, offset + len(whole)


def _remove_partial_blobs(request: DownloadRequest, kept: set[str]) -> None:
    cache = Path(request.cache)
    folder = repo_folder(cache, request.repo)
    for file in request.files:
        name = file.sha256 or file.git_id
        if not name.isalnum() or name in kept:
            continue
        lock = cache / ".locks" / folder.name / f"{name}.lock"
        with suppress(OSError):
            descriptor = os.open(lock, os.O_RDWR)
            try:
                # Another download of the same content goes on with it.
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                for partial in partial_blob_files(folder / "blobs" / name):
                    partial.unlink(missing_ok=True)
            finally:
                os.close(descriptor)
