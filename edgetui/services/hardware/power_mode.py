"""The power mode in force: a Jetson's nvpmodel, or the firmware's platform profile."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from edgetui.core.hardware import PowerMode, Reading, known, unknown

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgetui.meters.source import MachineSource

_ASK_AGAIN_S = 5.0
_ASK_AGAIN_AFTER_FAILURE_S = 60.0
NVPMODEL_STATUS = "/var/lib/nvpmodel/status"
NVPMODEL_CONFIG = "/etc/nvpmodel.conf"
_PROFILE = "/sys/firmware/acpi/platform_profile"
_MODEL = re.compile(r"^<\s*POWER_MODEL\s+ID=(\d+)\s+NAME=(\S+)\s*>", re.MULTILINE)
_STATUS = re.compile(r"pmode:(\d+)")
_TOLD = re.compile(r"NV Power Mode:\s*(\S+)\s+(\d+)")


class PowerModes:
    """Reads the mode every few seconds; the files lie on an SD card on many boards."""

    def __init__(self, source: MachineSource, clock: Callable[[], float] = time.monotonic) -> None:
        self._source = source
        self._clock = clock
        self._answer: tuple[float, Reading[PowerMode]] | None = None
        self._names: dict[int, str] | None = None
        self._is_jetson: bool | None = None

    def sample(self) -> Reading[PowerMode]:
        """The mode, at most five seconds old."""
        now = self._clock()
        if self._answer is not None:
            rest = _ASK_AGAIN_AFTER_FAILURE_S if self._answer[1].value is None else _ASK_AGAIN_S
            if now - self._answer[0] < rest:
                return self._answer[1]
        answer = self._read()
        self._answer = (now, answer)
        return answer

    def _read(self) -> Reading[PowerMode]:
        if self._is_jetson is None:
            self._is_jetson = "nvidia,tegra" in (self._source.text("/proc/device-tree/compatible").value or "")
        if self._is_jetson:
            return self._nvpmodel()
        profile = self._source.text(_PROFILE)
        if profile.value is None:
            return unknown("neither nvpmodel nor a platform profile here")
        choices = (self._source.text(f"{_PROFILE}_choices").value or "").split()
        return known(PowerMode(source="platform profile", name=profile.value, choices=tuple(choices)))

    def _nvpmodel(self) -> Reading[PowerMode]:
        names = self._model_names()
        status = self._source.text(NVPMODEL_STATUS)
        if (match := _STATUS.search(status.value or "")) is not None:
            number = int(match[1])
            return known(_nvpmodel_mode(number, names.get(number, f"mode {number}"), names))
        told = self._source.command("nvpmodel", "-q")
        if (match := _TOLD.search(told.value or "")) is not None:
            return known(_nvpmodel_mode(int(match[2]), match[1], names))
        return unknown(f"{status.reason or f'{NVPMODEL_STATUS} names no mode'}; {told.reason or 'nvpmodel -q neither'}")

    def _model_names(self) -> dict[int, str]:
        if self._names is None:
            text = self._source.text(NVPMODEL_CONFIG).value or ""
            self._names = {int(number): name for number, name in _MODEL.findall(text)}
        return self._names


def _nvpmodel_mode(number: int, name: str, names: dict[int, str]) -> PowerMode:
    return PowerMode(source="nvpmodel", name=name, number=number, choices=tuple(names.values()))
