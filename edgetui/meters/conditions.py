"""What the machine does while something is measured: clocks, heat, throttling, and who else takes its processors."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from edgetui.core.bench import Conditions
from edgetui.core.hardware import known
from edgetui.core.statistics import mean
from edgetui.meters.clocks import ProcessorClocks
from edgetui.meters.processor_files import online_cpus
from edgetui.meters.raspberry_firmware import RaspberryFirmware
from edgetui.meters.source import MachineSource, attempt
from edgetui.meters.temperatures import Temperatures
from edgetui.meters.throttling import Throttling

if TYPE_CHECKING:
    from collections.abc import Callable

_PROCESSORS = re.compile(r"coretemp|k10temp|zenpower|x86_pkg_temp|cpu|soc|package|tctl|tdie|cluster", re.IGNORECASE)
"""Sensors of processors, by the names that Linux's drivers and device trees give them."""


class State(NamedTuple):
    """The machine at one moment; None for what it does not tell."""

    temperature_c: float | None
    frequency_hz: float | None
    throttled: tuple[str, ...] | None
    """Signs of throttling that are active, or were since the look before."""
    others_share: float | None
    """Of all processors' time since the look before."""


class MachineWatch:
    """Looks at this machine, or a recorded one under another root, when it is told to.

    `others_s` gives the seconds of processor time that everything but what is measured has taken, for its differences.
    """

    def __init__(
        self,
        others_s: Callable[[], float | None],
        root: Path = Path("/"),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        source = MachineSource(root)
        self._source = source
        self._clock = clock
        self._others_s = others_s
        self._clocks = ProcessorClocks(source)
        self._temperatures = Temperatures(source)
        self._throttling = Throttling(source, RaspberryFirmware(source, clock), clock)
        self._counts: dict[str, int] = {}
        self._others: tuple[float, float | None] = (clock(), others_s())
        self._begun: tuple[float, float | None] = self._others
        self._states: list[State] = []

    def begin(self) -> State:
        """Forget what was seen, and look."""
        self._states.clear()
        self.look()
        self._begun = self._others
        return self._states[0]

    def look(self) -> State:
        """The state of now; it counts for `conditions`."""
        now, others = self._clock(), self._others_s()
        state = State(
            temperature_c=self._hottest(),
            frequency_hz=self._frequency(),
            throttled=self._signs(),
            others_share=_share(self._others, (now, others)),
        )
        self._others = (now, others)
        self._states.append(state)
        return state

    def conditions(self) -> Conditions:
        """Look once more, and tell of the time since `begin`."""
        self.look()
        first, last = self._states[0], self._states[-1]
        signs = [state.throttled for state in self._states[1:] if state.throttled is not None]
        return Conditions(
            others_share=_share(self._begun, self._others),
            frequency_hz=_both(first.frequency_hz, last.frequency_hz),
            temperature_c=_both(first.temperature_c, last.temperature_c),
            throttled=tuple(dict.fromkeys(sign for each in signs for sign in each)) if signs else None,
        )

    def _hottest(self) -> float | None:
        found = attempt(self._temperatures.sample).value or ()
        celsius = [
            sensor.celsius.value
            for sensor in found
            if sensor.celsius.value is not None and _PROCESSORS.search(sensor.label)
        ]
        return max(celsius) if celsius else None

    def _frequency(self) -> float | None:
        clocks = attempt(lambda: known(self._clocks.sample(online_cpus(self._source)))).value or ()
        hertz = [clock.value for clock in clocks if clock.value is not None]
        return mean(hertz) if hertz else None

    def _signs(self) -> tuple[str, ...] | None:
        signs = attempt(self._throttling.sample).value
        if not signs:
            return None
        active = []
        for sign in signs:
            count, before = sign.events.value, self._counts.get(sign.label)
            if sign.active.value or (count is not None and before is not None and count > before):
                active.append(sign.label)
            if count is not None:
                self._counts[sign.label] = count
        return tuple(active)


def _both(first: float | None, last: float | None) -> tuple[float, float] | None:
    return None if first is None or last is None else (first, last)


def _share(before: tuple[float, float | None], now: tuple[float, float | None]) -> float | None:
    """What others took of all processors' time between two looks."""
    seconds = now[0] - before[0]
    if before[1] is None or now[1] is None or seconds <= 0:
        return None
    # Both are counted in ticks, of which the difference may be a few off.
    return min(1.0, max(0.0, (now[1] - before[1]) / (seconds * (os.cpu_count() or 1))))
