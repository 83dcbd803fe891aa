"""Batteries by /sys/class/power_supply, asked every few seconds: an embedded controller answers slowly."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from edgetui.core.hardware import BatterySample, Reading, known, unknown

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgetui.meters.source import MachineSource

SUPPLIES = "/sys/class/power_supply"
_ASK_AGAIN_S = 5.0
_LOOK_AGAIN_S = 30.0
_JOULES_A_MICROWATT_HOUR = 3600e-6
_SIGNS = {"Discharging": 1, "Charging": -1}


class Batteries:
    """Finds the batteries of the machine itself; one taken out stays listed, with the reason."""

    def __init__(self, source: MachineSource, clock: Callable[[], float] = time.monotonic) -> None:
        self._source = source
        self._clock = clock
        self._names: list[str] = []
        self._looked_at: float | None = None
        self._answer: tuple[float, tuple[BatterySample, ...]] | None = None

    def sample(self) -> Reading[tuple[BatterySample, ...]]:
        """Every battery found so far, at most five seconds old."""
        now = self._clock()
        if self._looked_at is None or now - self._looked_at >= _LOOK_AGAIN_S:
            self._looked_at = now
            found = [name for name in self._source.names(SUPPLIES) if self._feeds_the_machine(name)]
            self._names += [name for name in found if name not in self._names]
        if not self._names:
            return unknown(f"none found: looked at {SUPPLIES}")
        if self._answer is None or now - self._answer[0] >= _ASK_AGAIN_S:
            self._answer = (now, tuple(self._sample(name) for name in self._names))
        return known(self._answer[1])

    def _feeds_the_machine(self, name: str) -> bool:
        """A mouse's battery is listed too, with the scope `Device`."""
        told = self._source.properties(f"{SUPPLIES}/{name}/uevent")
        if told.get("POWER_SUPPLY_SCOPE") == "Device":
            return False
        kind = told.get("POWER_SUPPLY_TYPE") or self._source.text(f"{SUPPLIES}/{name}/type").value
        return kind == "Battery"

    def _sample(self, name: str) -> BatterySample:
        # One file holds all: each attribute by itself would ask the controller again.
        path = f"{SUPPLIES}/{name}/uevent"
        text = self._source.text(path)
        if text.value is None:
            gone = unknown(text.reason)
            return BatterySample(label=name, status=gone, charge=gone, discharge_watts=gone, remaining_joules=gone)
        told = {
            key.removeprefix("POWER_SUPPLY_"): value
            for key, _, value in (line.partition("=") for line in text.value.splitlines())
        }

        def figure(key: str) -> float | None:
            value = told.get(key, "")
            return float(value) if value.lstrip("-").isdigit() else None

        silent = unknown(f"{path} does not tell it")
        status, percent, volts = told.get("STATUS"), figure("CAPACITY"), figure("VOLTAGE_NOW")
        power, current = figure("POWER_NOW"), figure("CURRENT_NOW")
        energy, electric_charge = figure("ENERGY_NOW"), figure("CHARGE_NOW")
        if power is None and current is not None and volts is not None:
            power = current * volts / 1e6
        if energy is None and electric_charge is not None and volts is not None:
            energy = electric_charge * volts / 1e6
        watts: Reading[float] = silent
        if power is not None:
            # Some drivers sign the figure themselves, others never do: the state tells the direction.
            watts = known(_SIGNS.get(status or "", 0) * abs(power) / 1e6)
        return BatterySample(
            label=name,
            status=known(status) if status else silent,
            charge=silent if percent is None else known(percent / 100),
            discharge_watts=watts,
            remaining_joules=silent if energy is None else known(energy * _JOULES_A_MICROWATT_HOUR),
        )
