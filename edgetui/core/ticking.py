"""Work that goes on beside other work."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def every(interval_s: float, work: Callable[[], object], name: str) -> Iterator[None]:
    """Inside, `work` is done again and again on a thread of that name; its last turn is waited for at the end."""
    ended = threading.Event()

    def follow() -> None:
        while not ended.wait(interval_s):
            work()

    thread = threading.Thread(target=follow, name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
