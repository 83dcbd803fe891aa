"""Waiting for something to come true instead of for time to pass."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

PATIENCE_S = 60.0
"""Far longer than anything takes here; only a fault reaches it."""


async def until(condition: Callable[[], bool], pause: Callable[[float], Awaitable[object]]) -> None:
    """Let the event loop go on until `condition` holds; fails when it never does."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "what was waited for never came"
        await pause(0.02)
