"""What goes wrong on the way, planned per request."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass
class Fault:
    """One thing that goes wrong with requests of a method whose path has some text in it."""

    path: str = ""
    method: str = "GET"
    times: int = 1
    """So many requests are hit; -1 for all."""
    skip: int = 0
    """So many matching requests pass first."""
    delay_s: float = 0.0
    """Before the answer begins."""
    status: int | None = None
    """Answered instead of the content."""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    """Sent with `status`."""
    drop_after: int | None = None
    """Bytes of the body after which the connection is cut."""
    stall_after: int | None = None
    """Bytes of the body after which nothing comes any more."""
    corrupt_at: int | None = None
    """Offset in the file of a byte that is turned over."""
    cut_to: int | None = None
    """The body is told to be, and is, so many bytes long."""
    bytes_per_s: float | None = None
    """Slow trickle."""
    before: Callable[[], None] | None = None
    """Done before the answer, such as a commit that changes the file."""


class FaultPlan:
    """Faults in the order in which they were planned; a request takes the first that matches."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> Fault:
        """Plan one more."""
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """From now on nothing goes wrong."""
        with self._lock:
            self._faults.clear()

    def take(self, method: str, path: str) -> Fault | None:
        """What happens to this request."""
        with self._lock:
            for fault in self._faults:
                if fault.times == 0 or fault.method != method or fault.path not in path:
                    continue
                if fault.skip:
                    fault.skip -= 1
                    continue
                fault.times -= 1
                return fault
        return None
