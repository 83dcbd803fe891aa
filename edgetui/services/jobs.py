"""Work that outlives the terminal: start it, find it again, watch it, end it. Two edgetui at once agree."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from edgetui.core.failures import EdgetuiError, Failure
from edgetui.core.jobs import CANCELLED
from edgetui.services.job_list import JobList
from edgetui.services.signals import Signal
from edgetui.store.job_folder import JobFolder, JobOrder, is_last
from edgetui.store.job_index import INTERRUPTED, first_record
from edgetui.worker import spawn
from edgetui.worker.job_events import JobBenchRow, JobFailed, JobQualityRow, JobStarted, JobStudy, JobSucceeded
from edgetui.worker.launch import start_job
from edgetui.worker.process_mark import process_mark

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from edgetui.config import Paths
    from edgetui.core.jobs import JobRecord
    from edgetui.store.database import Database
    from edgetui.worker.job_events import JobEvent
    from edgetui.worker.requests import JobRequest

FOLLOW_INTERVAL_S = 0.25
"""How often journals of running jobs are looked at."""
IDLE_INTERVAL_S = 1.0
"""How often a job started by another edgetui is looked for while none runs."""
CANCEL_GRACE_S = 5.0
"""A job that does not end itself in this time is killed."""
_POLL_S = 0.05


class Jobs:
    """The jobs of one state folder."""

    def __init__(self, paths: Paths, database: Database) -> None:
        self._jobs_dir = paths.jobs_dir
        self._toolchains_dir = paths.toolchains_dir
        self._database = database
        self._list = JobList(paths.jobs_dir, database)
        self._children: list[subprocess.Popen[bytes]] = []
        self._published: tuple[JobRecord, ...] = ()
        self.changed: Signal[tuple[JobRecord, ...]] = Signal()
        """All jobs, newest first, whenever something about one of them is new."""

    async def start(self, request: JobRequest) -> JobRecord:
        """Run a request in a process of its own; raises `EdgetuiError`: `no_permission`, `no_space`, `crashed`."""
        record = await asyncio.to_thread(self._start, request)
        await self._refresh()
        return record

    async def start_alone(self, request: JobRequest) -> JobRecord:
        """Run a request that measures; raises `EdgetuiError` as `start` does, and `busy` beside any other job."""
        await self._require_quiet()
        return await self.start(request)

    async def list(self) -> tuple[JobRecord, ...]:
        """All jobs, newest first; one whose process is gone is found to be interrupted here."""
        return await self._refresh()

    async def get(self, job_id: str) -> JobRecord:
        """One job, by its id or by an ending of it that no other has; raises `not_found`, `bad_request`."""
        records = await self._refresh()
        found = [record for record in records if record.job_id == job_id]
        found = found or [record for record in records if job_id and record.job_id.endswith(job_id)]
        if len(found) > 1:
            names = ", ".join(record.job_id for record in found)
            raise EdgetuiError("bad_request", f"{job_id} may be any of the jobs {names}: write more of it.")
        if not found:
            raise EdgetuiError("not_found", f"There is no job {job_id}: see the list of jobs.")
        return found[0]

    async def watch(self, job_id: str) -> AsyncGenerator[JobEvent, None]:
        """Every event of a job's last run, from its first on and then as they come, to its last.

        A process that ended without a word gives a `JobFailed` of kind `crashed`. Leaving the iteration does
        nothing to the job.
        """
        folder = self._folder((await self.get(job_id)).job_id)
        offset = 0
        while True:
            running, events, offset = await asyncio.to_thread(_read_on, folder, offset)
            for event in events:
                yield event
                if is_last(event):
                    return
            if not running:
                yield JobFailed(at=time.time(), failure=Failure("crashed", INTERRUPTED))
                return
            if not events:
                await asyncio.sleep(FOLLOW_INTERVAL_S)

    async def follow_rows(self, job_id: str, changed: Signal[None]) -> JobSucceeded | JobFailed:
        """Publish for each row or study of a job as it comes, and for its end; gives the job's last event."""
        last: JobSucceeded | JobFailed | None = None
        async for event in self.watch(job_id):
            if isinstance(event, JobBenchRow | JobQualityRow | JobStudy):
                changed.publish(None)
            elif isinstance(event, JobSucceeded | JobFailed):
                last = event
        assert last is not None
        changed.publish(None)
        return last

    async def cancel(self, job_id: str) -> JobRecord:
        """End a running job; it removes what it has begun. A job that is not running raises `bad_request`."""
        record = await self.get(job_id)
        if not record.is_running:
            raise EdgetuiError("bad_request", f"Job {record.job_id} is not running: it has {record.state}.")
        folder = self._folder(record.job_id)
        if not await self._signal_and_wait(folder, signal.SIGTERM):
            await self._signal_and_wait(folder, signal.SIGKILL)
        await asyncio.to_thread(self._end_as_cancelled, folder)
        return await self.get(record.job_id)

    async def pause(self, job_id: str) -> JobRecord:
        """End a download for now; `restart` goes on with it. Raises `bad_request` for any other job."""
        record = await self.get(job_id)
        if not record.is_running or record.kind != "download":
            raise EdgetuiError("bad_request", f"Job {record.job_id} is no download that is running: cancel it instead.")
        if not await self._signal_and_wait(self._folder(record.job_id), signal.SIGUSR1):
            raise EdgetuiError("busy", f"Job {record.job_id} does not end: cancel it instead.")
        return await self.get(record.job_id)

    async def put_first(self, job_id: str) -> JobRecord:
        """Let a download that waits for others be the next; raises `bad_request` for any other job."""
        from edgetui.store.download_queue import put_first

        record = await self.get(job_id)
        if not await asyncio.to_thread(put_first, self._jobs_dir.parent / "downloads", record.job_id):
            raise EdgetuiError("bad_request", f"Job {record.job_id} does not wait for other downloads.")
        return record

    async def restart(self, job_id: str) -> JobRecord:
        """Run a job again that did not do its work; raises `bad_request`, `busy`."""
        record = await self.get(job_id)
        # A sweep goes on with the builds that failed.
        if record.state == "succeeded" and record.kind != "sweep":
            raise EdgetuiError("bad_request", f"Job {record.job_id} has done its work: start a new one instead.")
        _refuse_running(record)
        folder = self._folder(record.job_id)
        if (await asyncio.to_thread(folder.order)).request.MEASURES:
            await self._require_quiet()
        await asyncio.to_thread(self._restart, folder)
        return await self.get(record.job_id)

    async def remove(self, job_id: str) -> None:
        """Forget a job and its log, never the file that it made; raises `busy` while it runs."""
        record = await self.get(job_id)
        _refuse_running(record)
        await asyncio.to_thread(self._remove, self._folder(record.job_id))
        await self._refresh()

    async def log_tail(self, job_id: str, lines: int = 200) -> tuple[str, ...]:
        """The last lines of a job's log, safe to show."""
        record = await self.get(job_id)
        return tuple(await asyncio.to_thread(self._folder(record.job_id).log_tail, lines))

    async def follow(self) -> None:
        """Publish `changed` for as long as this runs, whoever works on the jobs."""
        while True:
            records = await self._refresh()
            running = any(record.is_running for record in records)
            await asyncio.sleep(FOLLOW_INTERVAL_S if running else IDLE_INTERVAL_S)

    # --- how ----------------------------------------------------------------------------------------------

    async def _require_quiet(self) -> None:
        running = next((job for job in await self._refresh() if job.is_running), None)
        if running is not None:
            raise EdgetuiError(
                "busy",
                f"Job {running.job_id} ({running.kind} of {running.subject}) is running and would spoil the figures:"
                " wait for it, or cancel it on the Jobs screen.",
            )

    async def _refresh(self) -> tuple[JobRecord, ...]:
        records = await asyncio.to_thread(self._look)
        if records != self._published:
            self._published = records
            self.changed.publish(records)
        return records

    def _look(self) -> tuple[JobRecord, ...]:
        # Ended children are reaped here; otherwise they would stay in the system's list for as long as we live.
        self._children = [child for child in self._children if child.poll() is None]
        return self._list.look()

    def _folder(self, job_id: str) -> JobFolder:
        return JobFolder(self._jobs_dir / job_id)

    def _start(self, request: JobRequest) -> JobRecord:
        order = JobOrder(
            request=request,
            created_at=time.time(),
            database=str(self._database.path),
            toolchains=str(self._toolchains_dir),
        )
        if request.toolchain:
            # Before there is a job: what is missing is said where it was asked for.
            spawn.toolchain_python(self._toolchains_dir, request.toolchain)
        folder, lock = JobFolder.create(self._jobs_dir, order)
        record = first_record(folder.job_id, order)
        try:
            self._list.put(record)
            self._children.append(start_job(folder, order, lock))
        except BaseException:
            with suppress(EdgetuiError):
                self._list.forget(folder.job_id)
            folder.remove()
            raise
        finally:
            os.close(lock)
        return record

    def _restart(self, folder: JobFolder) -> None:
        lock = _lock_soon(folder)
        try:
            order = folder.order()
            folder.begin_again()
            self._list.put(first_record(folder.job_id, order))
            self._children.append(start_job(folder, order, lock))
        finally:
            os.close(lock)

    def _remove(self, folder: JobFolder) -> None:
        if not folder.lock_path.exists():
            # A removal that was broken off: no process can hold what is not there.
            folder.remove()
            self._list.forget(folder.job_id)
            return
        lock = _lock_soon(folder)
        try:
            folder.remove_partial()
            folder.remove()
            self._list.forget(folder.job_id)
        finally:
            os.close(lock)

    def _end_as_cancelled(self, folder: JobFolder) -> None:
        """Say in the journal of a job that was killed why it ended, and remove what it left."""
        lock = _lock_soon(folder)
        try:
            events, _ = folder.read_journal()
            # Also of a job that has cleaned up itself: native code may have begun its file after that.
            folder.remove_partial()
            if not events or not is_last(events[-1]):
                folder.append(JobFailed(at=time.time(), failure=Failure("cancelled", CANCELLED)))
            self._list.settle(folder)
        finally:
            os.close(lock)

    async def _signal_and_wait(self, folder: JobFolder, number: signal.Signals) -> bool:
        """Send a signal, once the job's process can be told, and say whether it ended in time."""
        give_up = time.monotonic() + CANCEL_GRACE_S
        sent = False
        while await asyncio.to_thread(lambda: folder.is_running):
            if time.monotonic() > give_up:
                return False
            sent = sent or await asyncio.to_thread(_send, folder, number)
            await asyncio.sleep(_POLL_S)
        return True


def _read_on(folder: JobFolder, offset: int) -> tuple[bool, list[JobEvent], int]:
    """Whether a job runs, what its journal says from an offset on, and where that ends."""
    # Asked first: what is written between the two is then seen by the next reading.
    running = folder.is_running
    return running, *folder.read_journal(offset)


def _send(folder: JobFolder, number: signal.Signals) -> bool:
    """Signal the process that works on a job; False while it has not told its number yet."""
    events, _ = folder.read_journal()
    started = next((event for event in events if isinstance(event, JobStarted)), None)
    if started is None:
        return False
    # A number that went to another process since must not be signalled.
    if process_mark(started.pid) == started.process_start:
        with suppress(ProcessLookupError):
            os.kill(started.pid, number)
    return True


def _refuse_running(record: JobRecord) -> None:
    if record.is_running:
        raise EdgetuiError("busy", f"Job {record.job_id} is still running: cancel it first.")


def _lock_soon(folder: JobFolder) -> int:
    """The job's lock; another edgetui that looks whether the job runs holds it for a moment."""
    give_up = time.monotonic() + 1
    while True:
        try:
            lock = folder.lock()
        except OSError as error:
            raise EdgetuiError("not_found", f"There is no job {folder.job_id} any more.") from error
        if lock is not None:
            return lock
        if time.monotonic() > give_up:
            raise EdgetuiError(
                "busy", f"Job {folder.job_id} is held by a process that does not end: try again in a moment."
            )
        time.sleep(_POLL_S)
