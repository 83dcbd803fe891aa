"""A time limit for each probe: one that hangs in the kernel costs its own figures and nobody else's."""

from __future__ import annotations

import threading
import time
import weakref
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from edgetui.core.hardware import Reading, unknown
from edgetui.meters.source import COMMAND_LIMIT_S, attempt

if TYPE_CHECKING:
    from collections.abc import Callable

SENSOR_LIMIT_S = 2.0
"""Reading files of the kernel takes milliseconds; a sensor behind a slow bus a tenth of a second."""
COMMAND_PROBE_LIMIT_S = COMMAND_LIMIT_S + 3.0
"""For probes that may start a vendor's tool, which has a limit of its own."""

_Task = tuple["Callable[[], Reading[Any]]", "Future[Reading[Any]]"]


class TimeLimit:
    """Runs probes one after another on a thread; a probe that is late keeps that thread, and the rest get a new one.

    A thread that waits in the kernel cannot be stopped: its probe is not asked again before it has come back.
    """

    def __init__(self) -> None:
        self._tasks: SimpleQueue[_Task | None] | None = None
        self._late: dict[str, tuple[float, Future[Reading[Any]]]] = {}
        self._end: Callable[[], object] = lambda: None

    def ask(self, name: str, probe: Callable[[], Reading[Any]], limit_s: float = SENSOR_LIMIT_S) -> Reading[Any]:
        """The probe's reading, or that it did not answer; `name` tells one probe from another."""
        if name in self._late:
            since, answer = self._late[name]
            if not answer.done():
                return unknown(f"no answer for {time.monotonic() - since:.0f} s")
            del self._late[name]
        tasks = self._tasks or self._start()
        answer = Future()
        tasks.put((probe, answer))
        try:
            return answer.result(limit_s)
        except FutureTimeout:
            self._late[name] = (time.monotonic() - limit_s, answer)
            # The late one ends when its probe comes back and finds nothing more to do.
            self._end()
            self._tasks = None
            return unknown(f"no answer within {limit_s:g} s")

    def _start(self) -> SimpleQueue[_Task | None]:
        tasks: SimpleQueue[_Task | None] = SimpleQueue()
        # A daemon: leaving edgetui does not wait for a server that is gone.
        threading.Thread(target=_work, args=(tasks,), name="hardware probe", daemon=True).start()
        self._tasks = tasks
        self._end = weakref.finalize(self, tasks.put, None)
        return tasks


def _work(tasks: SimpleQueue[_Task | None]) -> None:
    while (task := tasks.get()) is not None:
        probe, answer = task
        answer.set_result(attempt(probe))
        # A thread that waits for the next task holds on to nothing of the last one.
        del task, probe, answer
