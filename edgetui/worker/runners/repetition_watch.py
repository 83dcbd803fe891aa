"""How far a long repetition is: a thread reads the counts of its runner now and then, which costs the runner nothing.

Of a short repetition nothing is told, so that nothing wakes beside the usual tests.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from edgetui.core.ticking import every
from edgetui.core.units import format_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edgetui.core.bench import BenchTest
    from edgetui.engines.measuring import Runner

LOOK_S = 2.0
"""Between two looks: often enough for minutes, and each wakes whoever shows it, beside a measurement."""
WORTH_TELLING_S = 5.0
"""A run that has not lasted so long may be over by itself before anyone reads."""


class RepetitionWatch:
    """Tells the share done and a note of each run of a test; `tell` is called on a thread of its own."""

    def __init__(self, tell: Callable[[float, str], None]) -> None:
        self._tell = tell
        self._name = ""
        self._followed: tuple[Runner, BenchTest] | None = None
        self._last = (0, 0)
        self._began = 0.0
        """When the run under way was first seen."""
        self._first: tuple[float, int] | None = None
        """When, and at how many tokens, the test itself was first seen in this run."""

    def follow(self, runner: Runner, test: BenchTest) -> None:
        """Look at this one from now on, which warms up."""
        self._followed = (runner, test)
        self.expect(f"{test.name} warm-up")

    def expect(self, name: str) -> None:
        """The run before is over; the next one is called so."""
        self._name, self._began = name, 0.0

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Look again and again inside."""
        with every(LOOK_S, lambda: self.look(time.monotonic()), "progress"):
            yield

    def look(self, now: float) -> None:
        """Look once."""
        if self._followed is None:
            return
        runner, test = self._followed
        filled, done = runner.filled_tokens, runner.done_tokens
        before, self._last = self._last, (filled, done)
        if not self._began:
            self._began, self._first = now, None
        if self._first is None and done:
            self._first = (now, done)
        if (filled, done) == before or now - self._began < WORTH_TELLING_S:
            return
        if not done:
            self._tell(0.0, f"{self._name}: filling the depth, {filled} of {test.depth_tokens} tokens")
            return
        wanted = test.computed_tokens
        told = f"{done} of {wanted} tokens"
        since, at = self._first or (now, done)
        if done > at:
            rate = (done - at) / (now - since)
            told += f", {rate:.2f} tok/s so far, about {format_duration((wanted - done) / rate)} left"
        self._tell(min(1.0, done / wanted), f"{self._name}: {told}")
