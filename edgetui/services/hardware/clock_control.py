"""What drives the CPUs' clocks: cpufreq's limits, its governors, and energy-performance preferences."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

from edgetui.core.hardware import ClockRange, GovernorSample, Reading, known, unknown
from edgetui.meters.processor_files import CPU_FOLDER, online_cpus

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgetui.meters.source import MachineSource

_T = TypeVar("_T")

_ASK_AGAIN_S = 5.0
_NO_CPUFREQ = "this machine has no cpufreq, as most virtual machines"


def clock_ranges(source: MachineSource) -> Reading[tuple[ClockRange, ...]]:
    """CPUs by their limits, the fastest first."""
    found: dict[tuple[Reading[str], Reading[int], Reading[int], Reading[int]], list[int]] = {}
    for cpu in online_cpus(source):
        folder = f"{CPU_FOLDER}/cpu{cpu}/cpufreq"
        if not source.exists(folder):
            continue
        base = source.integer(f"{folder}/base_frequency", 1000)
        limits = (
            _of_this_driver(source.text(f"{folder}/scaling_driver")),
            base if base.value is not None else unknown("its driver does not tell it"),
            _of_this_driver(source.integer(f"{folder}/cpuinfo_min_freq", 1000)),
            _of_this_driver(source.integer(f"{folder}/cpuinfo_max_freq", 1000)),
        )
        found.setdefault(limits, []).append(cpu)
    ranges = [
        ClockRange(cpus=tuple(cpus), driver=driver, base_hz=base, lowest_hz=lowest, highest_hz=highest)
        for (driver, base, lowest, highest), cpus in found.items()
    ]
    ranges.sort(key=lambda item: (-(item.highest_hz.value or 0), item.cpus))
    return known(tuple(ranges)) if ranges else unknown(_NO_CPUFREQ)


class Governors:
    """Reads the governors every few seconds: somebody may change them to see what it does."""

    def __init__(self, source: MachineSource, clock: Callable[[], float] = time.monotonic) -> None:
        self._source = source
        self._clock = clock
        self._answer: tuple[float, Reading[tuple[GovernorSample, ...]]] | None = None

    def sample(self) -> Reading[tuple[GovernorSample, ...]]:
        """CPUs by governor and preference, at most five seconds old."""
        now = self._clock()
        if self._answer is None or now - self._answer[0] >= _ASK_AGAIN_S:
            self._answer = (now, self._read())
        return self._answer[1]

    def _read(self) -> Reading[tuple[GovernorSample, ...]]:
        found: dict[tuple[str, str | None], list[int]] = {}
        reason = _NO_CPUFREQ
        for cpu in online_cpus(self._source):
            folder = f"{CPU_FOLDER}/cpu{cpu}/cpufreq"
            if not self._source.exists(folder):
                continue
            governor = self._source.text(f"{folder}/scaling_governor")
            if governor.value is None:
                reason = governor.reason
                continue
            preference = self._source.text(f"{folder}/energy_performance_preference").value
            found.setdefault((governor.value, preference), []).append(cpu)
        groups = tuple(
            GovernorSample(
                cpus=tuple(cpus),
                governor=governor,
                preference=known(preference) if preference else unknown("its driver has no such preference"),
            )
            for (governor, preference), cpus in found.items()
        )
        return known(groups) if groups else unknown(reason)


def _of_this_driver(figure: Reading[_T]) -> Reading[_T]:
    """One reason for all CPUs, so that those without a figure stand together."""
    return figure if figure.value is not None else unknown("its driver does not tell it")
