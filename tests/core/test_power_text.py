"""Power and throttling in words."""

from __future__ import annotations

from edgetui.core import power_text as words
from edgetui.core.hardware import (
    BatterySample,
    FanSample,
    PowerMode,
    PowerSample,
    ThrottleSample,
    known,
    unknown,
)

GONE = unknown("gone")


def sign(label: str, active: bool | None, since_boot: bool | None = None, detail: str = "") -> ThrottleSample:
    return ThrottleSample(
        label=label,
        active=GONE if active is None else known(active),
        since_boot=GONE if since_boot is None else known(since_boot),
        events=GONE,
        detail=detail,
    )


def test_watts_and_joules_have_three_figures_and_a_dash_where_there_are_none() -> None:
    assert [words.format_watts(watts) for watts in (None, 0.0, 3.214, 12.34, 123.4)] == [
        "-", "0.00 W", "3.21 W", "12.3 W", "123 W",
    ]  # fmt: skip
    assert [words.format_joules(joules) for joules in (None, 950, 12_340)] == ["-", "950 J", "12.3 kJ"]


def test_energy_stands_beside_power_only_where_a_counter_counted_some() -> None:
    counted = PowerSample(key="a", label="package-0", watts=known(12.34), joules=known(1500.0))
    assert words.power_text(counted, with_joules=True) == "package-0 12.3 W, 1.50 kJ"
    assert words.power_text(counted, with_joules=False) == "package-0 12.3 W"
    uncounted = PowerSample(key="b", label="VDD_IN", watts=GONE, joules=GONE)
    assert words.power_text(uncounted, with_joules=True) == "VDD_IN -"


def test_a_power_mode_says_who_tells_it_and_what_else_there_is() -> None:
    mode = PowerMode(source="nvpmodel", name="15W", number=0, choices=("15W", "MAXN"))
    assert words.power_mode_text(mode) == "15W (nvpmodel 0 of 15W, MAXN)"


def test_a_battery_that_charges_shows_what_it_takes() -> None:
    battery = BatterySample(
        label="BAT0",
        status=known("Charging"),
        charge=known(0.4),
        discharge_watts=known(-18.0),
        remaining_joules=known(86_400.0),
    )
    assert words.battery_text(battery) == "BAT0 40 %, Charging 18.0 W, 24.0 Wh left"


def test_a_fan_shows_what_is_known_of_it() -> None:
    assert words.fan_text(FanSample(label="fan", rpm=known(0), duty=GONE)) == "fan 0 rpm"
    assert words.fan_text(FanSample(label="fan", rpm=GONE, duty=known(0.5))) == "fan driven 50 %"
    assert words.fan_text(FanSample(label="fan", rpm=GONE, duty=GONE)) == "fan -"


def test_the_summary_shows_what_slows_now_then_what_did_then_what_is_unread() -> None:
    signs = (sign("quiet", False), sign("old", False, True), sign("hot", True, detail="step 2"), sign("lost", None))
    assert words.throttle_summary(signs) == [
        ("hot now (step 2)", True),
        ("old earlier since boot", False),
        ("lost -", False),
    ]
    assert words.throttle_summary((sign("quiet", False),)) == [("none now", False)]


def test_nothing_is_called_quiet_when_no_sign_can_be_read() -> None:
    assert words.throttle_summary((sign("lost", None),)) == [("lost -", False)]
