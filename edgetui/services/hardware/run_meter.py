"""What the machine does while a model answers, in a handful of figures: one sample each time it is asked."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from edgetui.core.reading import Reading, known, unknown
from edgetui.core.run_figures import MachineNow
from edgetui.meters.recorder import choose

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgetui.core.hardware import PowerSample, WorkSample
    from edgetui.services.hardware.monitor import HardwareMonitor


class RunMeter:
    """Watches through the monitor; a look costs a fraction of what a whole sample does."""

    def __init__(self, hardware: HardwareMonitor, clock: Callable[[], float] = time.monotonic) -> None:
        self._hardware = hardware
        self._clock = clock
        self._keys: tuple[str, ...] = ()
        self._before: tuple[float, float, float | None] | None = None
        """Time, watts and counted joules of the look before."""
        self._joules = 0.0

    async def look(self) -> MachineNow:
        """The machine now. Never raises."""
        sample = await self._hardware.work_sample()
        watts, joules = self._power(sample)
        loads = [item.utilisation for item in sample.accelerators]
        return MachineNow(
            cpu_load=sample.cpu_load,
            gpu_load=max(loads, key=lambda load: load.value or 0.0) if loads else None,
            celsius=_hottest(sample),
            frequency_hz=_mean_clock(sample),
            watts=watts,
            joules=joules,
        )

    def _power(self, sample: WorkSample) -> tuple[Reading[float], Reading[float]]:
        """Watts of the meters that tell what the work takes, and joules since the first look."""
        found = choose(sample.power.value or ())
        if not found:
            reason = sample.power.reason or "several meters were found, and none is known to tell the whole machine's"
            self._before = None
            return unknown(reason), unknown(reason)
        now = self._clock()
        watts = _sum_of(found, "watts")
        counted = _sum_of(found, "joules").value
        keys = tuple(meter.key for meter in found)
        if watts.value is None and counted is None:
            self._before = None
            return watts, unknown(watts.reason)
        if self._before is not None and keys == self._keys:
            then, watts_then, counted_then = self._before
            if counted is not None and counted_then is not None and counted >= counted_then:
                self._joules += counted - counted_then
            else:
                # Of a meter that tells power alone the mean of two looks stands for the time between them.
                self._joules += (watts_then + (watts.value or watts_then)) / 2 * (now - then)
        self._keys = keys
        self._before = (now, watts.value or 0.0, counted)
        return watts, known(self._joules)


def _sum_of(meters: list[PowerSample], figure: str) -> Reading[float]:
    total = 0.0
    for meter in meters:
        reading: Reading[float] = getattr(meter, figure)
        if reading.value is None:
            return unknown(f"{meter.label}: {reading.reason}")
        total += reading.value
    return known(total)


def _hottest(sample: WorkSample) -> Reading[float]:
    sensors = sample.temperatures.value
    if not sensors:
        return unknown(sample.temperatures.reason or "no sensor was found")
    values = [sensor.celsius.value for sensor in sensors if sensor.celsius.value is not None]
    return known(max(values)) if values else unknown(sensors[0].celsius.reason)


def _mean_clock(sample: WorkSample) -> Reading[float]:
    cores = sample.cores.value
    if not cores:
        return unknown(sample.cores.reason or "no processor was found")
    values = [core.frequency_hz.value for core in cores if core.frequency_hz.value is not None]
    return known(sum(values) / len(values)) if values else unknown(cores[0].frequency_hz.reason)
