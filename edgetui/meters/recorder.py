"""Follows a machine's meters while something runs, so that the energy of any span of it can be told afterwards."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from edgetui.core.hardware import PowerSample, unknown
from edgetui.core.ticking import every
from edgetui.meters.nvidia import NvidiaGpus
from edgetui.meters.power import PowerMeters
from edgetui.meters.raspberry_firmware import ASK_AGAIN_S, RaspberryFirmware
from edgetui.meters.source import MachineSource, attempt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

INTERVAL_S = 0.2
"""Between readings: often enough for spans of seconds, and too seldom to cost a measurable share of a core."""
REST_S = 2.0
"""The power at rest is that of so long before the work."""
LEAST_READINGS = 10
"""Shorter spans than so many readings of a meter are not told: their ends lie between two readings."""
_BOARDS = ("VDD_IN", "POM_5V_IN", "PMIC rails")
"""Rails that feed all others on Jetson modules, and the sum of a Raspberry Pi's."""
_GPU = "gpu/"
"""How the keys of GPUs begin."""
_PLATFORM, _PACKAGE = "psys", "package"
"""RAPL's zones for all of a computer and for a processor with its graphics."""


class Energy(NamedTuple):
    """What some spans of time took."""

    joules: float | None
    meter: str
    """Labels of the meters that told it, `package-0 + NVIDIA L4`."""
    reason: str
    """Why there is no figure; empty where there is one."""


class EnergyRecorder:
    """Reads the meters of this machine, or of a recorded one under another root; safe from several threads."""

    def __init__(self, root: Path = Path("/"), clock: Callable[[], float] = time.perf_counter) -> None:
        source = MachineSource(root)
        self._clock = clock
        self._meters = PowerMeters(source, RaspberryFirmware(source, clock), clock)
        self._nvidia = NvidiaGpus(source)
        gpus = attempt(self._nvidia.describe).value or ()
        # nvidia-smi, a process of tens of milliseconds, is nothing to start beside a measurement.
        self._gpu_names = {gpu.key: gpu.name for gpu in gpus} if self._nvidia.has_nvml else {}
        self._lock = threading.Lock()
        self._last: tuple[float, dict[str, float]] | None = None
        self._sums: dict[str, float] = {}
        self._chosen: tuple[str, ...] = ()
        self._times: list[float] = []
        self._joules: list[float] = []
        self._since = 0
        """Index of the first reading after the last that failed."""
        self.meter = ""
        self.is_gpu_alone = False
        """Whether nothing but GPUs has a meter, so that work of the processor is not told."""
        self.reason = ""

    def sample(self) -> float:
        """Read all meters; gives the time of it by the recorder's clock."""
        with self._lock:
            now = self._clock()
            reading = self._meters.sample(self._gpus())
            found = choose(reading.value or ())
            if not found:
                self.reason = reading.reason or (
                    "several meters were found, and none is known to tell the power of the whole machine"
                )
                self._interrupt()
                return now
            self._add(now, found)
            return now

    @contextmanager
    def following(self) -> Iterator[None]:
        """Inside, the meters are read again and again on a thread; nothing is done where there is none."""
        self.sample()
        if not self.meter:
            yield
            return
        with every(INTERVAL_S, self.sample, "energy"):
            yield

    def power_at_rest(self) -> float | None:
        """Wait a moment, and give the watts of it; None at once where there is no meter. For before the work."""
        if not self.meter:
            return None
        began = self.sample()
        time.sleep(REST_S)
        ended = self.sample()
        joules = self.energy([(began, ended)]).joules
        return None if joules is None else joules / (ended - began)

    @property
    def least_s(self) -> float:
        """Spans that are together shorter than so many seconds are not told."""
        return LEAST_READINGS * self._interval_s

    @property
    def _interval_s(self) -> float:
        return ASK_AGAIN_S if "PMIC" in self.meter else INTERVAL_S

    def energy_of_work(self, spans: Sequence[tuple[float, float]], *, is_on_processor: bool) -> Energy:
        """Joules of spans of work as `energy` tells them; a meter of GPUs alone knows nothing of a processor's work."""
        if self.is_gpu_alone and is_on_processor:
            return Energy(None, "", f"{self.meter} has a meter, and the processor has none")
        return self.energy(spans)

    def energy(self, spans: Sequence[tuple[float, float]]) -> Energy:
        """Joules of some spans together, each from one time to another of the recorder's clock."""
        with self._lock:
            if not self.meter or not spans:
                return Energy(None, "", self.reason or "nothing was measured")
            seconds = sum(end - begin for begin, end in spans)
            if seconds < self.least_s:
                every = f"{self._interval_s:g}"
                return Energy(
                    None, "", f"{seconds:.1f} s of work are too short for a meter that is read every {every} s"
                )
            total = 0.0
            for begin, end in spans:
                first, last = self._at(begin), self._at(end)
                if first is None or last is None:
                    return Energy(None, "", self.reason or "the meter was not read all the time")
                total += last - first
            return Energy(total, self.meter, "")

    def _gpus(self) -> list[PowerSample]:
        """NVIDIA's GPUs that count their energy; their figures do not depend on who read them before."""
        return [
            PowerSample(
                key=f"{_GPU}{key}", label=name, watts=unknown("its counter is read"), joules=self._nvidia.joules(key)
            )
            for key, name in self._gpu_names.items()
        ]

    def _add(self, now: float, found: Sequence[PowerSample]) -> None:
        keys = tuple(sample.key for sample in found)
        if keys != self._chosen:
            # Another set of meters begins its own count.
            self._interrupt()
            self._chosen = keys
        watts = {sample.key: sample.watts.value for sample in found if sample.joules.value is None}
        counted = {sample.key: sample.joules.value for sample in found if sample.joules.value is not None}
        if missing := next((sample for sample in found if sample.key in watts and sample.watts.value is None), None):
            self.reason = f"{missing.label}: {missing.watts.reason}"
            self._interrupt()
            return
        now_watts = {key: value for key, value in watts.items() if value is not None}
        if self._last is not None:
            then, before = self._last
            for key, value in now_watts.items():
                # Of a meter that tells power alone the mean of two readings stands for the time between them.
                self._sums[key] = self._sums.get(key, 0.0) + (value + before.get(key, value)) / 2 * (now - then)
        total = sum(counted.values()) + sum(self._sums.get(key, 0.0) for key in now_watts)
        if self._joules and total < self._joules[-1]:
            # A counter began anew: what came between is unknown.
            self._interrupt()
        self._last = (now, now_watts)
        self.meter = " + ".join(sample.label for sample in found)
        self.is_gpu_alone = all(sample.key.startswith(_GPU) for sample in found)
        self._times.append(now)
        self._joules.append(total)

    def _interrupt(self) -> None:
        self._since = len(self._times)
        self._last = None

    def _at(self, moment: float) -> float | None:
        """Joules counted until then, between two readings in proportion; None before the first or after the last."""
        after = bisect_left(self._times, moment, self._since)
        if after < len(self._times) and self._times[after] == moment:
            return self._joules[after]
        if after <= self._since or after == len(self._times):
            return None
        begin, end = self._times[after - 1], self._times[after]
        share = (moment - begin) / (end - begin)
        return self._joules[after - 1] + share * (self._joules[after] - self._joules[after - 1])


def choose(samples: Sequence[PowerSample]) -> list[PowerSample]:
    """The meters that together tell what the work took, none counted twice; empty where that is not known.

    A board's input before RAPL's platform before its packages and NVIDIA's GPUs; a single other meter by itself.
    """
    outer = [sample for sample in samples if not sample.inside]
    if boards := [sample for sample in outer if sample.label in _BOARDS]:
        return boards[:1]
    gpus = [sample for sample in outer if sample.key.startswith(_GPU)]
    if platforms := [sample for sample in outer if sample.label == _PLATFORM]:
        return platforms[:1]
    if packages := [sample for sample in outer if sample.label.startswith(_PACKAGE)]:
        return packages + gpus
    if gpus and len(gpus) == len(outer):
        return gpus
    return outer if len(outer) == 1 else []
