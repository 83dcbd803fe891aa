"""Two sides that are measured by turns, each loaded in a process of its own, so that either can be measured at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetui.core.failures import EdgetuiError
from edgetui.worker.measuring_process import MeasuringProcess

if TYPE_CHECKING:
    from pathlib import Path

    from edgetui.core.bench import BenchTest
    from edgetui.core.studies import BenchSide

Facts = dict[str, str | int | float | bool | None]


class HeldSides:
    """Two places for models; where memory has no room for both, each turn loads its model anew."""

    def __init__(self, toolchains: Path) -> None:
        self._toolchains = toolchains
        self._processes: dict[int, MeasuringProcess] = {}
        self._open: dict[int, tuple[BenchSide, BenchTest, Facts]] = {}
        self.reloads = False
        """Whether memory holds one side at a time."""

    @property
    def pids(self) -> list[int]:
        """Of the processes that are there now."""
        return [process.pid for process in self._processes.values()]

    def ready(self, place: int, side: BenchSide, test: BenchTest) -> Facts:
        """Have a side loaded and warm in a place (0 or 1); gives the engine's facts. Raises `EdgetuiError`.

        All sides of a place have the same engine.
        """
        if self._processes.get(place) is None or not self._processes[place].is_alive:
            self._start(place, side)
        held = self._open.get(place)
        if held is not None and held[:2] == (side, test):
            return held[2]
        if self.reloads:
            self._close(1 - place)
        self._open.pop(place, None)
        try:
            facts = self._processes[place].open(side, test)
        except EdgetuiError as error:
            if error.failure.kind != "out_of_memory" or not self._close(1 - place):
                raise
            self.reloads = True
            if not self._processes[place].is_alive:
                self._start(place, side)
            facts = self._processes[place].open(side, test)
        self._open[place] = (side, test, facts)
        return facts

    def run(self, place: int) -> int:
        """Nanoseconds of the test by the side in a place; raises `EdgetuiError`."""
        return self._processes[place].run()

    def end(self) -> None:
        """End both processes, and their models with them."""
        for process in self._processes.values():
            process.end()
        self._processes.clear()
        self._open.clear()

    def _start(self, place: int, side: BenchSide) -> None:
        if place in self._processes:
            self._processes.pop(place).end()
        self._open.pop(place, None)
        self._processes[place] = MeasuringProcess(side.model_format, self._toolchains)

    def _close(self, place: int) -> bool:
        """Free a place's model; says whether there was one."""
        if self._open.pop(place, None) is None:
            return False
        if self._processes[place].is_alive:
            self._processes[place].close()
        return True
