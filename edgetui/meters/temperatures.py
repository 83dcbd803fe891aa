"""Temperatures by hwmon and thermal zones; a sensor that goes away stays listed, with the reason."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from edgetui.core.hardware import Reading, TemperatureSample, known, unknown

if TYPE_CHECKING:
    from edgetui.meters.source import MachineSource

HWMON = "/sys/class/hwmon"
ZONES = "/sys/class/thermal"
_LOOK_AGAIN_EVERY = 60
"""Samples between looks for new sensors."""
_HIGHEST_LIMIT_CELSIUS = 200


class _Sensor(NamedTuple):
    label: str
    path: str
    critical: Reading[float]


class Temperatures:
    """Finds the sensors once and reads them each time."""

    def __init__(self, source: MachineSource) -> None:
        self._source = source
        self._sensors: dict[str, _Sensor] = {}
        self._samples = 0

    def sample(self) -> Reading[tuple[TemperatureSample, ...]]:
        """Every sensor found so far."""
        if self._samples % _LOOK_AGAIN_EVERY == 0:
            for sensor in (*_hwmon_sensors(self._source), *_zone_sensors(self._source)):
                self._sensors.setdefault(sensor.path, sensor)
        self._samples += 1
        if not self._sensors:
            return unknown(f"none found: looked at {HWMON}, {ZONES}")
        return known(
            tuple(
                TemperatureSample(
                    label=sensor.label,
                    celsius=read_celsius(self._source, sensor.path),
                    critical_celsius=sensor.critical,
                )
                for sensor in self._sensors.values()
            )
        )


def read_celsius(source: MachineSource, path: str) -> Reading[float]:
    """A file in thousandths of a degree."""
    figure = source.integer(path)
    return unknown(figure.reason) if figure.value is None else known(figure.value / 1000)


def _hwmon_sensors(source: MachineSource) -> list[_Sensor]:
    sensors = []
    zones = {
        kind.replace("-", "_"): f"{ZONES}/{zone}"
        for zone in source.names(ZONES)
        if (kind := source.text(f"{ZONES}/{zone}/type").value) and zone.startswith("thermal_zone")
    }
    for chip in source.names(HWMON):
        folder = f"{HWMON}/{chip}"
        name = source.text(f"{folder}/name").value or chip
        entries = source.names(folder)
        for entry in entries:
            if match := re.fullmatch(r"(temp\d+)_input", entry):
                given = source.text(f"{folder}/{match[1]}_label").value
                sensors.append(
                    _Sensor(
                        f"{name} {given}" if given else name,
                        f"{folder}/{entry}",
                        _hwmon_limit(source, folder, match[1], entries, zones.get(name)),
                    )
                )
    return _numbered(sensors)


def _zone_sensors(source: MachineSource) -> list[_Sensor]:
    """Thermal zones that have not registered themselves with hwmon, which most do."""
    chips = {source.text(f"{HWMON}/{chip}/name").value for chip in source.names(HWMON)}
    if "coretemp" in chips:
        # The same sensor under another name.
        chips.add("x86_pkg_temp")
    sensors = []
    for zone in source.names(ZONES):
        kind = source.text(f"{ZONES}/{zone}/type").value
        if not zone.startswith("thermal_zone") or kind is None or kind.replace("-", "_") in chips:
            continue
        sensors.append(_Sensor(kind, f"{ZONES}/{zone}/temp", _critical_trip(source, f"{ZONES}/{zone}")))
    return _numbered(sensors)


def _hwmon_limit(
    source: MachineSource, folder: str, sensor: str, entries: list[str], zone: str | None
) -> Reading[float]:
    """Where the chip itself tells none, the thermal zone that it registered knows."""
    for name in (f"{sensor}_crit", f"{sensor}_emergency"):
        if name in entries:
            return read_celsius(source, f"{folder}/{name}")
    return _critical_trip(source, zone) if zone else unknown(f"{folder} tells no limit of {sensor}")


def _critical_trip(source: MachineSource, folder: str) -> Reading[float]:
    trips = {
        source.text(f"{folder}/{entry}").value: match[1]
        for entry in source.names(folder)
        if (match := re.fullmatch(r"(trip_point_\d+)_type", entry))
    }
    for kind in ("critical", "hot"):
        if kind in trips:
            limit = read_celsius(source, f"{folder}/{trips[kind]}_temp")
            # Firmware that sets no limit writes one that no chip lives to see, or one below freezing.
            if limit.value is None or 0 < limit.value < _HIGHEST_LIMIT_CELSIUS:
                return limit
    return unknown(f"{folder} has no critical trip point")


def _numbered(sensors: list[_Sensor]) -> list[_Sensor]:
    """Equal labels get numbers."""
    labels = [sensor.label for sensor in sensors]
    seen: dict[str, int] = {}
    result = []
    for sensor in sensors:
        if labels.count(sensor.label) > 1:
            seen[sensor.label] = seen.get(sensor.label, 0) + 1
            sensor = sensor._replace(label=f"{sensor.label} {seen[sensor.label]}")
        result.append(sensor)
    return result
