"""A job's own process, `python -m edgetui.worker.job FOLDER [LOCK]`: detached, it outlives the terminal.

The work runs in a thread; the main thread writes progress and ends the process when the job is cancelled, since
native code such as a quantization cannot be asked to stop.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from edgetui.core.bench import BenchRow
from edgetui.core.failures import EdgetuiError, Failure
from edgetui.core.jobs import CANCELLED
from edgetui.store.database import Database
from edgetui.store.job_folder import JobFolder, Journal
from edgetui.worker.job_events import (
    JobBenchRow,
    JobEvent,
    JobFailed,
    JobProgress,
    JobQualityRow,
    JobStarted,
    JobStudy,
    JobSucceeded,
)
from edgetui.worker.launch import STEP
from edgetui.worker.process_end import die_with_parent
from edgetui.worker.process_mark import process_mark
from edgetui.worker.runners import runner_for
from edgetui.worker.steps import Steps

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from edgetui.core.quality import QualityRow
    from edgetui.core.studies import StudyResult
    from edgetui.worker.requests import JobRequest

NICENESS = 5
"""A job yields to the screen and to a chat."""
PAUSED = "It was paused; what has come so far is kept."
PROGRESS_INTERVAL_S = 0.25
"""Progress is written to the journal this often at most."""
IDLE_INTERVAL_S = 1.0
"""How often the main thread looks by itself while nothing calls it."""


class JobProcess:
    """One run of a job, from its first event to its last."""

    def __init__(self, folder: JobFolder) -> None:
        order = folder.order()
        self.folder = folder
        self.steps = Steps(folder, order)
        self.database = Database(Path(order.database))
        self._request = order.request
        self._journal = Journal(folder)
        self._lock = threading.RLock()
        self._pending: JobProgress | None = None
        self._written_at = 0.0
        # The main thread waits for a call: one that polls takes a core from a thread of a measurement, whose others
        # then wait for that one. A queue, since a signal's handler may put into it at any moment.
        self._calls: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._keep_cut: Callable[[str], str] | None = None
        self._cancelled = threading.Event()
        self._paused = threading.Event()
        self._finishing = False
        self._has_ended = False

    def run(self) -> int:
        """Work until the last event is written; returns the exit status."""
        signal.signal(signal.SIGTERM, self._on_terminate)
        # Only what can go on later is ever paused; anything else takes no notice.
        signal.signal(signal.SIGUSR1, self._on_pause if self._request.GOES_ON else signal.SIG_IGN)
        self._journal.append(
            JobStarted(pid=os.getpid(), process_start=process_mark(os.getpid()) or 0.0, at=time.time())
        )
        work = threading.Thread(target=self._work, args=(self._request,), daemon=True)
        work.start()
        while work.is_alive() and not self._has_ended:
            self._await_call()
            self._write_progress()
            if self.cancelled:
                self._end_cancelled()
            elif self._paused.is_set():
                self._end_paused()
        return 0

    # --- what a runner sees -------------------------------------------------------------------------------

    def progress(
        self,
        done: float,
        total: float | None,
        unit: str,
        note: str = "",
        *,
        bytes_done: int | None = None,
        bytes_total: int | None = None,
        bytes_per_s: float | None = None,
        passing: bool = False,
    ) -> None:
        """Remember how far the work is; the main thread writes it."""
        is_news = self._pending is None
        self._pending = JobProgress(
            at=time.time(),
            done=done,
            total=total,
            unit=unit,
            note=note,
            bytes_done=bytes_done,
            bytes_total=bytes_total,
            bytes_per_s=bytes_per_s,
            passing=passing,
        )
        if is_news:
            self._calls.put(None)

    def row(self, row: BenchRow | QualityRow) -> None:
        """Write a measured row, and before it the progress that led to it."""
        at = time.time()
        event = JobBenchRow(at=at, row=row) if isinstance(row, BenchRow) else JobQualityRow(at=at, row=row)
        with self._lock:
            # The last repetition of a test is told however soon the next one comes.
            self._write_progress(now=True)
            self._journal.append(event)

    def study(self, result: StudyResult) -> None:
        """Write what a measurement of several parts found."""
        with self._lock:
            self._journal.append(JobStudy(at=time.time(), result=result))

    def when_cut(self, keep: Callable[[str], str]) -> None:
        """What to call, with the reason, before a cancellation ends the process; gives a sentence for the last event.

        It runs in the main thread while the work goes on, and has a few seconds.
        """
        self._keep_cut = keep

    @property
    def cancelled(self) -> bool:
        """Whether the end was asked for."""
        return self._cancelled.is_set()

    def finishing(self) -> None:
        """Shut out a cancellation; waits for the end of the process when one is under way."""
        with self._lock:
            self._finishing = True

    # --- the end ------------------------------------------------------------------------------------------

    def _work(self, request: JobRequest) -> None:
        last: JobEvent
        try:
            outcome = runner_for(request)(request, self)
            last = JobSucceeded(at=time.time(), summary=outcome.summary, output=outcome.output)
        except EdgetuiError as error:
            _log(f"{error}\n{error.failure.detail}")
            # The details are in the log; a journal is read again and again.
            last = self._failed(Failure(error.failure.kind, error.failure.message))
        except MemoryError:
            last = self._failed(Failure("out_of_memory", "The job ran out of memory: take a smaller model."))
        except Exception as error:
            _log(traceback.format_exc())
            sentence = f"The job failed ({type(error).__name__}: {error}); its log has the details."
            last = self._failed(Failure("internal", sentence))
        with self._lock:
            self._finishing = True
            self._write_progress(now=True)
            self._journal.append(last)
        self._has_ended = True
        self._calls.put(None)

    def _await_call(self) -> None:
        with suppress(queue.Empty):
            self._calls.get(timeout=PROGRESS_INTERVAL_S if self._pending else IDLE_INTERVAL_S)

    def _failed(self, failure: Failure) -> JobFailed:
        """The last event of a run that failed, and left nothing but what its next run goes on with."""
        if not self._request.GOES_ON:
            self.folder.remove_partial()
        return JobFailed(at=time.time(), failure=failure)

    def _on_terminate(self, _number: int, _frame: FrameType | None) -> None:
        self._cancelled.set()
        self._calls.put(None)

    def _on_pause(self, _number: int, _frame: FrameType | None) -> None:
        self._paused.set()
        self._calls.put(None)

    def _end_paused(self) -> None:
        """End the process, and keep what it has brought."""
        with self._lock:
            if self._finishing:
                return
            self._write_progress(now=True)
            self._journal.append(JobFailed(at=time.time(), failure=Failure("paused", PAUSED)))
            os._exit(0)

    def _end_cancelled(self) -> None:
        """End the process, and native code with it, unless the work is as good as done."""
        with self._lock:
            if self._finishing:
                return
            self.steps.end()
            self.folder.remove_partial()
            self._write_progress(now=True)
            kept = self._kept("it was cancelled")
            failure = Failure("cancelled", " ".join(filter(None, (CANCELLED, kept))))
            self._journal.append(JobFailed(at=time.time(), failure=failure))
            os._exit(0)

    def _kept(self, why: str) -> str:
        """What is kept of a run that is cut short, in a sentence; nothing keeps the process from ending."""
        if self._keep_cut is None:
            return ""
        try:
            return self._keep_cut(why)
        except Exception:
            _log(traceback.format_exc())
            return ""

    def _write_progress(self, *, now: bool = False) -> None:
        with self._lock:
            if self._pending is not None and (now or time.monotonic() - self._written_at >= PROGRESS_INTERVAL_S):
                pending, self._pending = self._pending, None
                self._written_at = time.monotonic()
                self._journal.append(pending)


def _log(text: str) -> None:
    """Into the log; a full disk must not keep the last event from being written."""
    with suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def main(arguments: list[str]) -> int:
    """Run the job of a folder; the second argument is its lock, held by whoever started us."""
    if arguments[2:3] == [STEP]:
        die_with_parent(int(arguments[3]))
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    folder = JobFolder(Path(arguments[0]))
    lock = int(arguments[1]) if len(arguments) > 1 else folder.lock()
    if lock is None:
        print(f"edgetui: Job {folder.job_id} already runs.", file=sys.stderr)
        return 1
    # Held until the process ends, whatever ends it; a process that we start must not hold it for us.
    os.set_inheritable(lock, False)
    if not folder.order().request.MEASURES:
        # A measurement stands in line like the tool that it is compared with.
        os.nice(NICENESS)
    try:
        return JobProcess(folder).run()
    except EdgetuiError as error:
        print(f"edgetui: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
