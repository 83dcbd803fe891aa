"""Power meters: RAPL domains, hwmon and INA3221 rails, a Raspberry Pi's power chip; watts and counted joules."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Protocol

from edgetui.core.hardware import PowerSample, Reading, known, unknown
from edgetui.meters.energy_counter import EnergyCounter
from edgetui.meters.source import reason_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from edgetui.meters.raspberry_firmware import RaspberryFirmware
    from edgetui.meters.source import MachineSource

POWERCAP = "/sys/class/powercap"
HWMON = "/sys/class/hwmon"
SUPPLIES = "/sys/class/power_supply"
_IIO_RAILS = "/sys/bus/i2c/drivers/ina3221x"
_LOOK_AGAIN_S = 30.0
"""Between looks for new meters."""
_NO_COUNTER = unknown("this meter counts no energy")
_RAPL_DENIED = unknown("needs root, or: sudo chmod a+r /sys/class/powercap/*/energy_uj")
_TOTAL_RAIL = "VDD_IN"
"""The rail that feeds all others on Jetson modules that have it."""
_PMIC = re.compile(r"^\s*(\w+)_([AV]) \w+\(\d+\)=([\d.]+)[AV]\s*$", re.MULTILINE)


class _Meter(Protocol):
    def sample(self, now: float) -> PowerSample: ...


class PowerMeters:
    """Finds the meters and reads them each time; one that goes away stays listed, with the reason."""

    def __init__(
        self, source: MachineSource, firmware: RaspberryFirmware, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._source = source
        self._firmware = firmware
        self._clock = clock
        self._meters: dict[str, _Meter] = {}
        self._looked_at: float | None = None

    def sample(self, others: Sequence[PowerSample] = ()) -> Reading[tuple[PowerSample, ...]]:
        """Every meter found so far, and `others` that somebody else read."""
        now = self._clock()
        if self._looked_at is None or now - self._looked_at >= _LOOK_AGAIN_S:
            self._looked_at = now
            for key, meter in (*_rapl(self._source), *_hwmon(self._source), *_iio_rails(self._source)):
                self._meters.setdefault(key, meter)
        samples = [meter.sample(now) for meter in self._meters.values()]
        rails = self._firmware.rails() if self._firmware.is_present else None
        if rails is not None and rails.value is not None:
            samples += _pmic_samples(rails.value)
        samples += others
        if samples:
            return known(tuple(samples))
        if rails is not None and rails.value is None:
            return unknown(rails.reason)
        return unknown(f"no meter found: looked at {POWERCAP}, {HWMON}")


class _RaplDomain:
    """A counter of microjoules that starts again at its range."""

    def __init__(self, source: MachineSource, path: str, label: str, inside: str) -> None:
        self._source, self._path, self._label, self._inside = source, path, label, inside
        reach = source.integer(f"{path}/max_energy_range_uj").value
        self._counter = EnergyCounter(None if reach is None else reach / 1e6)

    def sample(self, now: float) -> PowerSample:
        energy = _micro(self._source, f"{self._path}/energy_uj", _RAPL_DENIED)
        watts, joules = self._counter.add(energy, now)
        return PowerSample(key=self._path, label=self._label, inside=self._inside, watts=watts, joules=joules)


class _Sensor:
    """hwmon's power in microwatts, its energy in microjoules, or both."""

    def __init__(self, source: MachineSource, label: str, power_path: str | None, energy_path: str | None) -> None:
        self._source, self._label, self._power_path, self._energy_path = source, label, power_path, energy_path
        self._counter = EnergyCounter(None)

    def sample(self, now: float) -> PowerSample:
        watts, joules = unknown("there is no meter"), _NO_COUNTER
        if self._energy_path is not None:
            watts, joules = self._counter.add(_micro(self._source, self._energy_path), now)
        if self._power_path is not None:
            watts = _micro(self._source, self._power_path)
        return PowerSample(
            key=self._power_path or self._energy_path or self._label, label=self._label, watts=watts, joules=joules
        )


class _Rail:
    """A rail whose chip tells volts and amperes, in thousandths."""

    def __init__(self, source: MachineSource, label: str, inside: str, volts_path: str, amperes_path: str) -> None:
        self._source, self._label, self._inside = source, label, inside
        self._volts_path, self._amperes_path = volts_path, amperes_path

    def sample(self, now: float) -> PowerSample:
        volts, amperes = self._source.integer(self._volts_path), self._source.integer(self._amperes_path)
        watts: Reading[float] = unknown(amperes.reason or volts.reason)
        if volts.value is not None and amperes.value is not None:
            watts = known(volts.value * amperes.value / 1e6)
        return PowerSample(
            key=self._amperes_path, label=self._label, inside=self._inside, watts=watts, joules=_NO_COUNTER
        )


class _MilliwattRail:
    """A rail of the driver that NVIDIA shipped up to JetPack 4."""

    def __init__(self, source: MachineSource, label: str, path: str) -> None:
        self._source, self._label, self._path = source, label, path

    def sample(self, now: float) -> PowerSample:
        power = self._source.integer(self._path)
        watts: Reading[float] = unknown(power.reason) if power.value is None else known(power.value / 1000)
        return PowerSample(key=self._path, label=self._label, watts=watts, joules=_NO_COUNTER)


def _rapl(source: MachineSource) -> Iterator[tuple[str, _Meter]]:
    zones = source.names(POWERCAP)
    # A zone's parts after the zone, before the next one.
    for zone in sorted(zones, key=lambda name: name.split(":")):
        control, *numbers = zone.split(":")
        # The -mmio zones read the same counters by another way.
        if not numbers or (control.endswith("-mmio") and f"{control[:-5]}:{numbers[0]}" in zones):
            continue
        folder = f"{POWERCAP}/{zone}"
        name = source.text(f"{folder}/name").value
        if name is None or not source.exists(f"{folder}/energy_uj"):
            continue
        outer = f"{POWERCAP}/{control}:{numbers[0]}" if len(numbers) > 1 else ""
        outer_name = source.text(f"{outer}/name").value if outer else None
        label = f"{outer_name} {name}" if outer_name else name
        yield folder, _RaplDomain(source, folder, label, outer)


def _hwmon(source: MachineSource) -> Iterator[tuple[str, _Meter]]:
    supplies = {name.replace("-", "_") for name in source.names(SUPPLIES)}
    for chip in source.names(HWMON):
        folder = f"{HWMON}/{chip}"
        name = source.text(f"{folder}/name").value or chip
        if name in supplies:
            # A battery or an adapter: told with its state elsewhere.
            continue
        entries = source.names(folder)
        if name == "ina3221":
            yield from _ina3221(source, folder, entries)
            continue
        for number in sorted({match[1] for entry in entries if (match := re.match(r"(?:power|energy)(\d+)_", entry))}):
            power = next((e for e in (f"power{number}_input", f"power{number}_average") if e in entries), None)
            energy = f"energy{number}_input" if f"energy{number}_input" in entries else None
            if power is None and energy is None:
                continue
            given = source.text(f"{folder}/{(power or energy or '').partition('_')[0]}_label").value
            label = f"{name} {given}" if given else name
            yield (
                f"{folder}/{number}",
                _Sensor(
                    source, label, f"{folder}/{power}" if power else None, f"{folder}/{energy}" if energy else None
                ),
            )


def _ina3221(source: MachineSource, folder: str, entries: list[str]) -> Iterator[tuple[str, _Meter]]:
    labels = {
        number: label
        for number in ("1", "2", "3")
        if f"curr{number}_input" in entries and (label := source.text(f"{folder}/in{number}_label").value)
    }
    total = next((f"{folder}/curr{number}_input" for number, label in labels.items() if label == _TOTAL_RAIL), "")
    for number, label in labels.items():
        path = f"{folder}/curr{number}_input"
        # An unused input of the chip is labelled so by the board's device tree.
        if label != "NC":
            yield path, _Rail(source, label, total if path != total else "", f"{folder}/in{number}_input", path)


def _iio_rails(source: MachineSource) -> Iterator[tuple[str, _Meter]]:
    for device in source.names(_IIO_RAILS):
        for iio in source.names(f"{_IIO_RAILS}/{device}"):
            folder = f"{_IIO_RAILS}/{device}/{iio}"
            for number in "012":
                label = source.text(f"{folder}/rail_name_{number}").value if iio.startswith("iio:device") else None
                path = f"{folder}/in_power{number}_input"
                if label is not None and source.exists(path):
                    yield path, _MilliwattRail(source, label, path)


def _pmic_samples(printed: str) -> list[PowerSample]:
    """The sum first, then each rail in it; the 5 V input tells no current, so USB devices are not in the sum."""
    amperes: dict[str, float] = {}
    volts: dict[str, float] = {}
    for name, unit, figure in _PMIC.findall(printed):
        (amperes if unit == "A" else volts)[name] = float(figure)
    rails = {name: amperes[name] * volts[name] for name in amperes if name in volts}
    if not rails:
        return []
    key = "pmic"
    total = PowerSample(key=key, label="PMIC rails", watts=known(sum(rails.values())), joules=_NO_COUNTER)
    return [
        total,
        *(
            PowerSample(key=f"{key}/{name}", label=name, inside=key, watts=known(watts), joules=_NO_COUNTER)
            for name, watts in rails.items()
        ),
    ]


def _micro(source: MachineSource, path: str, denied: Reading[float] | None = None) -> Reading[float]:
    """A file in millionths; `denied` is the answer where only a permission is missing."""
    try:
        return known(int(source.read(path)) / 1e6)
    except PermissionError:
        return denied or unknown(f"needs root, or: sudo chmod a+r {path}")
    except OSError as error:
        return unknown(reason_of(error, path))
    except ValueError:
        return unknown(f"{path} holds no number")
