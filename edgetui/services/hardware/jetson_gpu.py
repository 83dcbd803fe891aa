"""A Jetson's integrated GPU: load by its driver, clock by devfreq, temperature by its thermal zone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from edgetui.core.hardware import Accelerator, AcceleratorSample, Reading, known, unknown
from edgetui.meters.nvidia import NVIDIA
from edgetui.meters.temperatures import ZONES, read_celsius

if TYPE_CHECKING:
    from edgetui.meters.source import MachineSource

DEVFREQ = "/sys/class/devfreq"
_ADDRESS = re.compile(r"[0-9a-f]+\.(gpu|g[a-z]\d+b)")
_CHIPS = {"ga10b": "Orin (Ampere)", "gv11b": "Xavier (Volta)", "gp10b": "TX2 (Pascal)", "gm20b": "X1 (Maxwell)"}
_ZONE_TYPES = ("gpu-thermal", "GPU-therm")
_FULL_LOAD = 1000


class _Gpu(NamedTuple):
    folder: str
    zone: str | None


class JetsonGpu:
    """Finds the GPU once and samples it each time; `describe` gives None on every other machine."""

    def __init__(self, source: MachineSource) -> None:
        self._source = source
        self._gpu: _Gpu | None = None

    def describe(self) -> Accelerator | None:
        """What it is."""
        if "nvidia,tegra" not in (self._source.text("/proc/device-tree/compatible").value or ""):
            return None
        for name in self._source.names(DEVFREQ):
            if (match := _ADDRESS.fullmatch(name)) is None:
                continue
            self._gpu = _Gpu(f"{DEVFREQ}/{name}", self._find_zone())
            told = self._source.properties(f"{DEVFREQ}/{name}/device/uevent")
            chip = told.get("OF_COMPATIBLE_0", "").partition(",")[2] or match[1]
            driver = told.get("DRIVER", "")
            return Accelerator(
                key=name,
                kind="gpu",
                vendor=NVIDIA,
                name=f"Tegra {_CHIPS.get(chip, chip)}",
                driver=known(driver) if driver else unknown("its uevent names no driver"),
                memory_bytes=unknown("it uses the main memory"),
            )
        return None

    def sample(self) -> list[AcceleratorSample]:
        """What it does now; empty where there is none."""
        if self._gpu is None:
            return []
        load = self._source.integer(f"{self._gpu.folder}/device/load")
        celsius: Reading[float] = unknown("no thermal zone is named after it")
        if self._gpu.zone is not None:
            celsius = read_celsius(self._source, f"{self._gpu.zone}/temp")
        return [
            AcceleratorSample(
                key=self._gpu.folder.rpartition("/")[2],
                utilisation=unknown(load.reason) if load.value is None else known(load.value / _FULL_LOAD),
                memory_used_bytes=unknown("its share of the main memory is not told"),
                frequency_hz=self._source.integer(f"{self._gpu.folder}/cur_freq"),
                celsius=celsius,
                power_watts=unknown("its power is in the rails under POWER"),
            )
        ]

    def _find_zone(self) -> str | None:
        for zone in self._source.names(ZONES):
            if self._source.text(f"{ZONES}/{zone}/type").value in _ZONE_TYPES:
                return f"{ZONES}/{zone}"
        return None
