"""Signs that the machine is held back: Raspberry Pi flags, x86 counters, cooling devices, capped clocks."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, NamedTuple

from edgetui.core.hardware import Reading, ThrottleSample, known, unknown
from edgetui.core.machine_text import cpu_ranges, format_frequency
from edgetui.meters.processor_files import CPU_FOLDER, online_cpus
from edgetui.meters.source import attempt

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgetui.meters.raspberry_firmware import RaspberryFirmware
    from edgetui.meters.source import MachineSource

THERMAL = "/sys/class/thermal"
_ASK_AGAIN_S = 2.0
"""Many CPUs have many counters, and none of them asks for haste."""
_FIRST_AGAIN_S = 0.25
"""Counters need two reads: the second comes soon."""
_LOOK_AGAIN_S = 30.0
_FIRMWARE_BITS = ("under-voltage", "clock capped", "throttled", "soft temperature limit")
_SINCE_BOOT_SHIFT = 16
_SLOWS_THE_PROCESSOR = re.compile(
    r"(?:thermal-)?(cpufreq|devfreq)-.*|(Processor|intel_powerclamp|[\w-]+-throttle-alert)(?:\.\d+)?"
)
"""Cooling devices that are no fans; the group names the kind."""
_NOT_COUNTED = unknown("nothing counts it")
_SECOND_LOOK = unknown("the counter is compared with the read before, and this is the first")


class _Capped(NamedTuple):
    cpu: int
    highest: int


class Throttling:
    """Looks for the signs now and then and reads those that there are; one that goes away stays, with the reason."""

    def __init__(
        self, source: MachineSource, firmware: RaspberryFirmware, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._source = source
        self._firmware = firmware
        self._clock = clock
        self._looked_at: float | None = None
        self._capped: list[_Capped] = []
        self._counters: dict[str, list[int]] = {}
        self._events: dict[str, dict[int, int]] = {}
        self._cooling: dict[str, list[str]] = {}
        self._reads = 0
        self._answer: tuple[float, tuple[ThrottleSample, ...]] | None = None

    def sample(self) -> Reading[tuple[ThrottleSample, ...]]:
        """Every sign that this machine can give, at most two seconds old."""
        now = self._clock()
        if self._looked_at is None or now - self._looked_at >= _LOOK_AGAIN_S:
            self._looked_at = now
            self._look()
        rest = _ASK_AGAIN_S if self._reads > 1 else _FIRST_AGAIN_S
        if self._answer is None or now - self._answer[0] >= rest:
            self._reads += 1
            signs = [*self._firmware_signs(), *self._counter_signs(), *self._cooling_signs(), *self._cap_signs()]
            self._answer = (now, tuple(signs))
        if not self._answer[1]:
            return unknown(f"nothing tells it: looked at {CPU_FOLDER}/cpu*, {THERMAL}")
        return known(self._answer[1])

    def _look(self) -> None:
        cpus = attempt(lambda: known(online_cpus(self._source))).value or ()
        self._capped = [
            _Capped(cpu, highest)
            for cpu in cpus
            if self._source.exists(f"{CPU_FOLDER}/cpu{cpu}/cpufreq/scaling_max_freq")
            and (highest := self._source.integer(f"{CPU_FOLDER}/cpu{cpu}/cpufreq/cpuinfo_max_freq", 1000).value)
        ] or self._capped
        for part in ("core", "package"):
            counting = [cpu for cpu in cpus if self._source.exists(_counter_path(cpu, part))]
            if counting:
                self._counters[part] = counting
        for device in self._source.names(THERMAL):
            kind = self._source.text(f"{THERMAL}/{device}/type").value if device.startswith("cooling_device") else None
            if kind is not None and (match := _SLOWS_THE_PROCESSOR.fullmatch(kind)):
                devices = self._cooling.setdefault(match[1] or match[2], [])
                if device not in devices and self._source.exists(f"{THERMAL}/{device}/cur_state"):
                    devices.append(device)

    def _firmware_signs(self) -> list[ThrottleSample]:
        if not self._firmware.is_present:
            return []
        flags = self._firmware.throttled()
        if flags.value is None:
            missing = unknown(flags.reason)
            return [ThrottleSample(label="firmware flags", active=missing, since_boot=missing, events=_NOT_COUNTED)]
        return [
            ThrottleSample(
                label=label,
                active=known(bool(flags.value >> bit & 1)),
                since_boot=known(bool(flags.value >> (bit + _SINCE_BOOT_SHIFT) & 1)),
                events=_NOT_COUNTED,
            )
            for bit, label in enumerate(_FIRMWARE_BITS)
        ]

    def _counter_signs(self) -> list[ThrottleSample]:
        return [self._counter_sign(part, cpus) for part, cpus in self._counters.items()]

    def _counter_sign(self, part: str, cpus: list[int]) -> ThrottleSample:
        label = f"{part} too hot"
        counts: dict[int, int] = {}
        reason = ""
        for cpu in cpus:
            count = self._source.integer(_counter_path(cpu, part))
            if count.value is not None:
                counts[cpu] = count.value
            reason = reason or count.reason
        if not counts:
            missing = unknown(reason)
            return ThrottleSample(label=label, active=missing, since_boot=missing, events=missing)
        before = self._events.get(part)
        self._events[part] = counts
        grew = [cpu for cpu, count in counts.items() if count > (before or counts).get(cpu, count)]
        # Each CPU of a package repeats the package's count; a core's count is its own.
        events = sum(counts.values()) if part == "core" else max(counts.values())
        return ThrottleSample(
            label=label,
            active=_SECOND_LOOK if before is None else known(bool(grew)),
            since_boot=known(events > 0),
            events=known(events),
            detail=f"CPUs {cpu_ranges(grew)}" if grew and part == "core" else "",
        )

    def _cooling_signs(self) -> list[ThrottleSample]:
        """Devices of one kind are one sign: a laptop has a `Processor` for each CPU."""
        return [self._cooling_sign(kind, devices) for kind, devices in self._cooling.items() if devices]

    def _cooling_sign(self, kind: str, devices: list[str]) -> ThrottleSample:
        label = f"cooling by {kind}"
        states = [self._source.integer(f"{THERMAL}/{device}/cur_state") for device in devices]
        steps = [state.value for state in states if state.value is not None]
        not_kept = unknown("the kernel keeps no record of it")
        if not steps:
            return ThrottleSample(
                label=label, active=unknown(states[0].reason), since_boot=not_kept, events=_NOT_COUNTED
            )
        # powerclamp says -1 while it is idle.
        worst = max(steps)
        most = self._source.integer(f"{THERMAL}/{devices[steps.index(worst)]}/max_state").value if worst > 0 else None
        return ThrottleSample(
            label=label,
            active=known(worst > 0),
            since_boot=not_kept,
            events=_NOT_COUNTED,
            detail="" if worst <= 0 else f"step {worst}" if most is None else f"step {worst} of {most}",
        )

    def _cap_signs(self) -> list[ThrottleSample]:
        """A cap may be heat's or somebody's choice (a power mode, a governor's limit): it slows alike."""
        if not self._capped:
            return []
        lower: dict[tuple[int, int], list[int]] = {}
        reason, read = "", 0
        for cpu, highest in self._capped:
            cap = self._source.integer(f"{CPU_FOLDER}/cpu{cpu}/cpufreq/scaling_max_freq", 1000)
            reason = reason or cap.reason
            if cap.value is not None:
                read += 1
                if cap.value < highest:
                    lower.setdefault((cap.value, highest), []).append(cpu)
        details = [
            f"CPUs {cpu_ranges(cpus)} to {format_frequency(cap)} of {format_frequency(highest)}"
            for (cap, highest), cpus in lower.items()
        ]
        return [
            ThrottleSample(
                label="clock limit",
                active=known(bool(lower)) if read else unknown(reason),
                since_boot=unknown("the kernel keeps no record of it"),
                events=_NOT_COUNTED,
                detail="; ".join(details),
            )
        ]


def _counter_path(cpu: int, part: str) -> str:
    return f"{CPU_FOLDER}/cpu{cpu}/thermal_throttle/{part}_throttle_count"
