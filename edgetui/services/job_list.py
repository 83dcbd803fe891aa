"""The list of jobs as journals, index and processes tell it; settles what they disagree on."""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from edgetui.core.failures import EdgetuiError
from edgetui.store.job_folder import JobFolder
from edgetui.store.job_index import INTERRUPTED, JobIndex, advance, first_record

if TYPE_CHECKING:
    from pathlib import Path

    from edgetui.core.jobs import JobRecord
    from edgetui.store.database import Database


@dataclass
class _Followed:
    """A running job, and how far its journal was read."""

    record: JobRecord
    inode: int = 0
    offset: int = 0


class JobList:
    """Reads what changed since the last look; blocking, and safe to use from several threads."""

    def __init__(self, jobs_dir: Path, database: Database) -> None:
        self._jobs_dir = jobs_dir
        self._index = JobIndex(database)
        self._database = database
        self._lock = threading.Lock()
        self._followed: dict[str, _Followed] = {}
        self._records: dict[str, JobRecord] = {}
        self._seen: tuple[int, int] | None = None

    def look(self) -> tuple[JobRecord, ...]:
        """All jobs, newest first."""
        with self._lock:
            seen = (self._folder_mark(), self._index_mark())
            if seen != self._seen:
                self._read_index()
                self._seen = seen
            for job_id in [job_id for job_id, record in self._records.items() if record.is_running]:
                self._follow(job_id)
            return tuple(self._records.values())

    def put(self, record: JobRecord) -> None:
        """Add a job that is being started."""
        with self._lock:
            self._index.put(record)
            self._followed.pop(record.job_id, None)
            self._seen = None

    def settle(self, folder: JobFolder) -> None:
        """Take over what the journal of a job says that was ended from outside; its lock must be held."""
        self.put(advance(first_record(folder.job_id, folder.order()), folder.read_journal()[0]))

    def forget(self, job_id: str) -> None:
        """Drop a job whose folder is gone."""
        with self._lock:
            self._index.remove(job_id)
            self._seen = None

    def _folder_mark(self) -> int:
        try:
            return self._jobs_dir.stat().st_mtime_ns
        except FileNotFoundError:
            return 0

    def _index_mark(self) -> int:
        """Changes whenever another connection writes to the database."""
        return int(self._database.read("PRAGMA data_version")[0][0])

    def _read_index(self) -> None:
        """Rows for the folders that exist: those without a row get one, rows without a folder go."""
        records = self._index.records()
        try:
            folders = {path.name for path in self._jobs_dir.iterdir()}
        except FileNotFoundError:
            folders = set()
        for job_id in records.keys() - folders:
            del records[job_id]
            self._index.remove(job_id)
        for job_id in folders - records.keys():
            folder = JobFolder(self._jobs_dir / job_id)
            if not folder.request_path.exists():
                continue
            try:
                found = advance(first_record(job_id, folder.order()), folder.read_journal()[0])
            except EdgetuiError:
                # Damaged, or of a newer edgetui: not a job that this one can show.
                continue
            self._index.put(found)
            records[job_id] = found
        newest_first = sorted(records.values(), key=lambda record: (record.created_at, record.job_id), reverse=True)
        # A running job's row knows nothing of its progress.
        self._records = {
            record.job_id: self._followed[record.job_id].record
            if record.is_running and record.job_id in self._followed
            else record
            for record in newest_first
        }
        for job_id in self._followed.keys() - self._records.keys():
            del self._followed[job_id]

    def _follow(self, job_id: str) -> None:
        """Bring a running job up to date, and settle how it ended when its process is gone."""
        folder = JobFolder(self._jobs_dir / job_id)
        followed = self._followed.setdefault(job_id, _Followed(self._records[job_id]))
        running = folder.is_running
        self._read_journal(folder, followed)
        if not running and followed.record.is_running:
            self._interrupt(folder, followed)
        elif not running and _leaves_rubbish(followed.record):
            # Native code may have begun its file between the job's own cleaning up and its end.
            _remove_leftover(folder)
        self._records[job_id] = followed.record
        if not followed.record.is_running:
            self._index.put(followed.record)
            del self._followed[job_id]

    def _read_journal(self, folder: JobFolder, followed: _Followed) -> None:
        try:
            inode = folder.journal_path.stat().st_ino
        except FileNotFoundError:
            return
        if inode != followed.inode:
            # A new run has a new journal.
            followed.inode, followed.offset = inode, 0
        events, followed.offset = folder.read_journal(followed.offset)
        followed.record = advance(followed.record, events)

    def _interrupt(self, folder: JobFolder, followed: _Followed) -> None:
        """A job without a process and without a last event; whoever finds it first cleans up."""
        try:
            lock = folder.lock()
        except FileNotFoundError:
            # A removal that was broken off left the folder without its lock.
            lock = os.open(os.devnull, os.O_RDONLY)
        if lock is None:
            # Another edgetui has just started it again, or is cleaning up.
            return
        try:
            if followed.record.kind != "download":
                folder.remove_partial()
            ended = followed.record.progress_at or followed.record.started_at or time.time()
            followed.record = msgspec.structs.replace(
                followed.record, state="interrupted", summary=INTERRUPTED, ended_at=ended
            )
        finally:
            os.close(lock)


def _leaves_rubbish(record: JobRecord) -> bool:
    """Whether an ended run may have left what no other goes on with."""
    return record.state == "cancelled" or (record.state == "failed" and record.kind != "download")


def _remove_leftover(folder: JobFolder) -> None:
    with suppress(FileNotFoundError):
        lock = folder.lock()
        if lock is not None:
            try:
                folder.remove_partial()
            finally:
                os.close(lock)
