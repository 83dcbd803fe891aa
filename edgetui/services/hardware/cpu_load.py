"""What the CPUs do now: load of each by /proc/stat, clock by cpufreq or /proc/cpuinfo, load averages."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from edgetui.core.hardware import CoreSample, Reading, known, unknown
from edgetui.meters.clocks import ProcessorClocks
from edgetui.meters.source import attempt

if TYPE_CHECKING:
    from edgetui.meters.source import MachineSource

_FIRST = unknown("load is measured between two samples, and this is the first")
_TOO_SOON = unknown("no time passed since the sample before")


class _Times(NamedTuple):
    """Clock ticks since boot."""

    busy: int
    total: int


class CpuLoad:
    """Load needs the sample before; this keeps it, and how this machine tells its clocks."""

    def __init__(self, source: MachineSource) -> None:
        self._source = source
        self._before: dict[str, _Times] = {}
        self._clocks = ProcessorClocks(source)

    def sample(self) -> tuple[Reading[float], Reading[tuple[CoreSample, ...]]]:
        """Load of all CPUs together, and each CPU's load and clock."""
        read: Reading[dict[str, _Times]] = attempt(lambda: known(_read_times(self._source)))
        if read.value is None:
            return unknown(read.reason), unknown(read.reason)
        before, self._before = self._before, read.value
        now = read.value
        loads = {name: _load(before.get(name), times) for name, times in now.items()}
        overall = loads.pop("cpu", unknown("/proc/stat has no line for all CPUs"))
        clocks = attempt(lambda: known(self._clocks.sample([int(name[3:]) for name in loads])))
        cores = tuple(
            CoreSample(
                cpu=int(name[3:]),
                load=load,
                frequency_hz=clocks.value[index] if clocks.value is not None else unknown(clocks.reason),
            )
            for index, (name, load) in enumerate(loads.items())
        )
        return overall, known(cores)


def load_averages(source: MachineSource) -> Reading[tuple[float, float, float]]:
    """Over 1, 5 and 15 minutes."""
    one, five, fifteen, *_ = source.read("/proc/loadavg").split()
    return known((float(one), float(five), float(fifteen)))


def _read_times(source: MachineSource) -> dict[str, _Times]:
    times: dict[str, _Times] = {}
    for line in source.read("/proc/stat").splitlines():
        if not line.startswith("cpu"):
            # Everything about CPUs stands first; the interrupt line after it is long.
            break
        name, *fields = line.split()
        # user nice system idle iowait irq softirq steal; guest time is in user already.
        ticks = [int(field) for field in fields[:8]]
        total = sum(ticks)
        times[name] = _Times(total - ticks[3] - (ticks[4] if len(ticks) > 4 else 0), total)
    return times


def _load(before: _Times | None, now: _Times) -> Reading[float]:
    if before is None:
        return _FIRST
    total = now.total - before.total
    if total <= 0:
        return _TOO_SOON
    # The kernel's idle counters may step back by a tick.
    return known(min(1.0, max(0.0, (now.busy - before.busy) / total)))
