"""Fans by hwmon: turns a minute and what they are driven with."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, NamedTuple

from edgetui.core.hardware import FanSample, Reading, known, unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edgetui.meters.source import MachineSource

HWMON = "/sys/class/hwmon"
_LOOK_AGAIN_S = 30.0
_FULL_DUTY = 255
_NO_RPM = unknown("its driver counts no turns")
_NO_DUTY = unknown("its driver does not tell what it is driven with")


class _Fan(NamedTuple):
    label: str
    rpm_path: str | None
    duty_path: str | None


class Fans:
    """Finds the fans and reads them each time; one that goes away stays listed, with the reason."""

    def __init__(self, source: MachineSource, clock: Callable[[], float] = time.monotonic) -> None:
        self._source = source
        self._clock = clock
        self._fans: dict[str, _Fan] = {}
        self._looked_at: float | None = None

    def sample(self) -> Reading[tuple[FanSample, ...]]:
        """Every fan found so far."""
        now = self._clock()
        if self._looked_at is None or now - self._looked_at >= _LOOK_AGAIN_S:
            self._looked_at = now
            for key, fan in _find(self._source):
                self._fans.setdefault(key, fan)
        if not self._fans:
            return unknown(f"none found: looked at {HWMON}")
        return known(tuple(self._sample(fan) for fan in self._fans.values()))

    def _sample(self, fan: _Fan) -> FanSample:
        duty: Reading[float] = _NO_DUTY
        if fan.duty_path:
            driven = self._source.integer(fan.duty_path)
            duty = unknown(driven.reason) if driven.value is None else known(driven.value / _FULL_DUTY)
        return FanSample(
            label=fan.label, rpm=self._source.integer(fan.rpm_path) if fan.rpm_path else _NO_RPM, duty=duty
        )


def _find(source: MachineSource) -> Iterator[tuple[str, _Fan]]:
    for chip in source.names(HWMON):
        folder = f"{HWMON}/{chip}"
        name = source.text(f"{folder}/name").value or chip
        entries = source.names(folder)
        turning = [match[1] for entry in entries if (match := re.fullmatch(r"fan(\d+)_input", entry))]
        for number in turning:
            given = source.text(f"{folder}/fan{number}_label").value
            label = f"{name} {given}" if given else name if len(turning) == 1 else f"{name} {number}"
            duty = f"{folder}/pwm{number}" if f"pwm{number}" in entries else None
            yield f"{folder}/{number}", _Fan(label, f"{folder}/fan{number}_input", duty)
        if not turning and "rpm" in entries:
            # A Jetson's tachometer stands beside its fan, as a chip of its own.
            yield folder, _Fan(name, f"{folder}/rpm", None)
        elif not turning and "fan" in name and "pwm1" in entries:
            yield folder, _Fan(name, None, f"{folder}/pwm1")
