"""Power, energy, batteries, fans and throttling in words, for the screen and the command line alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgetui.core.units import MISSING, counted

if TYPE_CHECKING:
    from edgetui.core.hardware import (
        BatterySample,
        FanSample,
        HardwareSample,
        PowerMode,
        PowerSample,
        Reading,
        ThrottleSample,
    )

_JOULES_A_WATT_HOUR = 3600


def format_watts(watts: float | None) -> str:
    """`3.214` -> `3.21 W`, `12.34` -> `12.3 W`."""
    return MISSING if watts is None else f"{_three_figures(watts)} W"


def format_joules(joules: float | None) -> str:
    """`950` -> `950 J`, `12340` -> `12.3 kJ`."""
    if joules is None:
        return MISSING
    return f"{_three_figures(joules)} J" if joules < 999.5 else f"{_three_figures(joules / 1000)} kJ"


def format_joules_per_token(joules: float | None) -> str:
    """`0.31 J/token`; `-` where it was not measured."""
    if joules is None:
        return MISSING
    return f"{joules:.2f} J/token" if joules < 9.995 else f"{joules:.1f} J/token"


def power_text(sample: PowerSample, *, with_joules: bool) -> str:
    """`package-0 12.3 W`, and `, 1.23 kJ` that a counter counted since edgetui first looked."""
    text = f"{sample.label} {format_watts(sample.watts.value)}"
    return f"{text}, {format_joules(sample.joules.value)}" if with_joules and sample.joules.value else text


def power_mode_text(mode: PowerMode) -> str:
    """`MODE_30W (nvpmodel 2 of MAXN, MODE_15W, MODE_30W)`."""
    number = "" if mode.number is None else f" {mode.number}"
    choices = f" of {', '.join(mode.choices)}" if mode.choices else ""
    return f"{mode.name} ({mode.source}{number}{choices})"


def battery_text(battery: BatterySample) -> str:
    """`BAT0 83 %, Discharging 9.31 W, 41.2 Wh left`; a dash for each part that is not told."""
    charge, watts, rest = battery.charge.value, battery.discharge_watts.value, battery.remaining_joules.value
    parts = [
        f"{battery.label} {MISSING if charge is None else f'{charge * 100:.0f} %'}",
        f"{battery.status.value or MISSING} {format_watts(None if watts is None else abs(watts))}",
    ]
    if rest is not None:
        parts.append(f"{rest / _JOULES_A_WATT_HOUR:.1f} Wh left")
    return ", ".join(parts)


def fan_text(fan: FanSample) -> str:
    """`pwmfan 2710 rpm, driven 49 %`."""
    parts = []
    if fan.rpm.value is not None or fan.duty.value is None:
        parts.append(MISSING if fan.rpm.value is None else f"{fan.rpm.value} rpm")
    if fan.duty.value is not None:
        parts.append(f"driven {fan.duty.value * 100:.0f} %")
    return f"{fan.label} {', '.join(parts)}"


def throttle_text(sign: ThrottleSample) -> str:
    """`under-voltage not now, since boot yes`."""
    parts = ["-" if sign.active.value is None else "now" if sign.active.value else "not now"]
    if sign.events.value is not None:
        parts.append(f"{counted(int(sign.events.value), 'time')} since boot")
    elif sign.since_boot.value is not None:
        parts.append("since boot yes" if sign.since_boot.value else "never since boot")
    text = f"{sign.label} {', '.join(parts)}"
    return f"{text} ({sign.detail})" if sign.detail else text


def throttle_summary(signs: tuple[ThrottleSample, ...]) -> list[tuple[str, bool]]:
    """What is worth a line, each with whether it holds now: what slows now, what did since boot, what cannot be read.

    `none now` stands first when no sign that can be read is active.
    """
    active = [sign for sign in signs if sign.active.value]
    earlier = [sign for sign in signs if not sign.active.value and sign.since_boot.value]
    unread = [sign for sign in signs if sign.active.value is None and not sign.since_boot.value]
    items = [(f"{sign.label} now{f' ({sign.detail})' if sign.detail else ''}", True) for sign in active]
    if not items and len(unread) < len(signs):
        items.append(("none now", False))
    items += [
        (f"{sign.label} {f'{sign.events.value} times' if sign.events.value else 'earlier'} since boot", False)
        for sign in earlier
    ]
    return items + [(f"{sign.label} {MISSING}", False) for sign in unread]


def power_facts(sample: HardwareSample) -> list[tuple[str, str]]:
    """Everything that the machine tells of power, cooling and throttling, a label and a text each."""
    facts: list[tuple[str, str]] = []
    mode = sample.power_mode
    facts.append(("MODE", _dash(mode) if mode.value is None else power_mode_text(mode.value)))
    facts += _listed("POWER", sample.power, [_power_fact(item) for item in sample.power.value or ()])
    facts += _listed("BATTERY", sample.batteries, [_battery_fact(item) for item in sample.batteries.value or ()])
    facts += _listed("FANS", sample.fans, [_fan_fact(item) for item in sample.fans.value or ()])
    return facts + _listed(
        "THROTTLE", sample.throttling, [_throttle_fact(item) for item in sample.throttling.value or ()]
    )


def _power_fact(item: PowerSample) -> str:
    text = power_text(item, with_joules=False)
    if item.watts.value is None:
        text += f" ({item.watts.reason})"
    if item.joules.value:
        text += f", {format_joules(item.joules.value)} since edgetui looked first"
    return text


def _battery_fact(item: BatterySample) -> str:
    missing = next((part.reason for part in (item.charge, item.discharge_watts) if part.value is None), "")
    return battery_text(item) + (f" ({missing})" if missing else "")


def _fan_fact(item: FanSample) -> str:
    return fan_text(item) + (f" ({item.rpm.reason})" if item.rpm.value is None else "")


def _throttle_fact(item: ThrottleSample) -> str:
    return throttle_text(item) + (f" ({item.active.reason})" if item.active.value is None else "")


def _listed(label: str, reading: Reading[Any], texts: list[str]) -> list[tuple[str, str]]:
    if reading.value is None:
        return [(label, _dash(reading))]
    return [("" if index else label, text) for index, text in enumerate(texts)]


def _dash(reading: Reading[Any]) -> str:
    return f"{MISSING} ({reading.reason})"


def _three_figures(value: float) -> str:
    if abs(value) >= 99.95:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 9.995 else f"{value:.2f}"
