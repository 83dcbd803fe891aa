"""Steps of a job: requests that it runs one after another, each in a process and an environment of its own.

A step has a folder like any job, inside its parent's. One that has done its work is not run again when the parent is
started anew, which makes a long job go on where it was.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, cast

from edgetui.core.failures import EdgetuiError
from edgetui.store.job_folder import JobFolder, JobOrder
from edgetui.worker.job_events import JobFailed, JobSucceeded
from edgetui.worker.launch import start_job

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from edgetui.worker.job_events import JobEvent
    from edgetui.worker.requests import JobRequest

POLL_S = 0.05
WAIT_S = 0.25
"""How often a program that prints nothing is looked at."""
LOCK_PATIENCE_S = 20.0
"""A process that was killed frees its memory before its locks, which on a small board takes a while."""
GRACE_S = 3.0
"""A step that is told to end and does not in this time is killed."""


class Steps:
    """The steps of one job; at most one runs at a time."""

    def __init__(self, folder: JobFolder, order: JobOrder) -> None:
        self._folder = folder
        self._order = order
        self._process: subprocess.Popen[bytes] | None = None
        self._running: JobFolder | None = None
        self._program: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._closed = False

    def run(
        self, name: str, request: JobRequest, on_event: Callable[[JobEvent], None] = lambda event: None
    ) -> JobSucceeded:
        """Run a request to its end, or give what it gave before; raises the `EdgetuiError` that it failed with.

        `on_event` is called with every event but the last, also of a run before this one.

        `name` tells it from the job's other steps and is a folder's name. For a thread of the job's own process.
        """
        folder = JobFolder(self._folder.steps_dir / name)
        order = JobOrder(
            request=request,
            created_at=time.time(),
            database=self._order.database,
            toolchains=self._order.toolchains,
        )
        if (events := _done_before(folder, request)) is not None:
            for event in events[:-1]:
                on_event(event)
            return cast("JobSucceeded", events[-1])
        lock = _renew_soon(folder, order)
        try:
            with self._lock:
                if self._closed:
                    raise EdgetuiError("cancelled", "It was cancelled.")
                self._running = folder
                self._process = start_job(folder, order, lock, as_step=True)
        finally:
            os.close(lock)
        return self._follow(folder, on_event)

    def run_module(
        self,
        python: Path,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        on_output: Callable[[str], None],
        on_wait: Callable[[], None] = lambda: None,
    ) -> int:
        """Run a module of some interpreter, `arguments[0]` with the rest as its own; returns the exit status.

        Each line that it prints goes to `on_output`; `on_wait` is called while it prints none. For a thread of the
        job's own process. Raises OSError where it does not start.
        """
        program = subprocess.Popen(
            [str(python), str(Path(__file__).with_name("with_parent.py")), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            start_new_session=True,
        )
        self._program = program
        try:
            assert program.stdout is not None
            _read_lines(program.stdout.fileno(), on_output, on_wait)
            return program.wait()
        finally:
            self._end_program()
            for pipe in (program.stdin, program.stdout):
                if pipe is not None:
                    pipe.close()

    def _end_program(self) -> None:
        """End it with all that it has started, of which nothing writes any more afterwards."""
        if self._program is not None and self._program.poll() is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._program.pid, signal.SIGKILL)
            self._program.wait()

    def end(self) -> None:
        """End the step that runs, and remove what it has begun; for the end of the job itself."""
        with self._lock:
            # Whatever the job's thread was about to start is not started any more.
            self._closed = True
            process, folder = self._process, self._running
        self._end_program()
        if process is None or folder is None or process.poll() is not None:
            return
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        folder.remove_partial()

    def _follow(self, folder: JobFolder, on_event: Callable[[JobEvent], None]) -> JobSucceeded:
        assert self._process is not None
        offset = 0
        while True:
            # Asked first: what is written between the two is then seen by the next reading.
            ended = self._process.poll() is not None
            events, offset = folder.read_journal(offset)
            for event in events:
                if isinstance(event, JobSucceeded):
                    self._process.wait()
                    return event
                if isinstance(event, JobFailed):
                    self._process.wait()
                    raise EdgetuiError.of(event.failure)
                on_event(event)
            if ended:
                folder.remove_partial()
                raise _ended_without_a_word(self._process.returncode)
            time.sleep(POLL_S)


def _read_lines(descriptor: int, on_output: Callable[[str], None], on_wait: Callable[[], None]) -> None:
    """Hand over each line until the other end is closed."""
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        while True:
            if not selector.select(WAIT_S):
                on_wait()
                continue
            read = os.read(descriptor, 65536)
            if not read:
                break
            *lines, rest = (rest + read).split(b"\n")
            for line in lines:
                on_output(line.decode("utf-8", "replace"))
    if rest:
        on_output(rest.decode("utf-8", "replace"))


def _renew_soon(folder: JobFolder, order: JobOrder) -> int:
    """The lock of a step; a process of a run that was killed may hold it for another moment."""
    give_up = time.monotonic() + LOCK_PATIENCE_S
    while (lock := folder.renew(order)) is None:
        if time.monotonic() > give_up:
            raise EdgetuiError(
                "busy", "A process of an earlier run of this job does not end: end it, then start the job again."
            )
        time.sleep(POLL_S)
    return lock


def _done_before(folder: JobFolder, request: JobRequest) -> list[JobEvent] | None:
    """The events of a step that did this very work, and whose result is still there."""
    with suppress(EdgetuiError):
        events, _ = folder.read_journal()
        if events and isinstance(last := events[-1], JobSucceeded) and folder.order().request == request:
            return events if last.output is None or os.path.exists(last.output) else None
    return None


def _ended_without_a_word(status: int) -> EdgetuiError:
    if status == -signal.SIGKILL:
        return EdgetuiError(
            "out_of_memory",
            "The step's process was killed, most often because the system had no memory left: take a smaller model.",
        )
    return EdgetuiError("crashed", f"The step's process crashed (status {status}); the log has its last words.")
