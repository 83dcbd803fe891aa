"""A native call that hears no stop: it is made in a thread, which is left to its end when a stop comes."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from edgetui.core.failures import EdgetuiError

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgetui.engines.stopping import StopFlag

_T = TypeVar("_T")


class DeafCalls:
    """One call at a time: the next one waits for one that was left, and hears a stop meanwhile."""

    def __init__(self) -> None:
        self._executor: ThreadPoolExecutor | None = None
        self._last: Future[Any] | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a call that was left goes on."""
        return self._last is not None and not self._last.done()

    def call(self, work: Callable[[], _T], stop: StopFlag) -> _T:
        """What `work` gives, which must change nothing that others see; raises `EdgetuiError("cancelled")`."""
        if self._executor is None:
            self._executor = ThreadPoolExecutor(1, "deaf-call")
        over = threading.Event()
        future = self._executor.submit(work)
        if not self.is_busy:
            self._last = future
        future.add_done_callback(lambda _future: over.set())
        with stop.telling(over.set):
            over.wait()
        if future.done():
            return future.result()
        future.cancel()
        raise EdgetuiError("cancelled", "It was stopped before the prompt was read.")

    def close(self) -> None:
        """Wait for a call that was left: what it works on may be freed then."""
        if self._executor is not None:
            self._executor.shutdown(wait=True)
            self._executor = None
