"""Whether a machine was quiet enough while a row was measured, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetui.core.plain_text import plain_line

if TYPE_CHECKING:
    from edgetui.core.bench import BenchRow, Conditions

MOST_OTHERS_SHARE = 0.1
"""Of all processors' time: beyond that other programs take what is measured."""
LEAST_FREQUENCY_SHARE = 0.9
"""Of the processors' frequency at the beginning; below that the end was measured on a slower machine."""


def noise_of(row: BenchRow) -> str:
    """Why the row's figures may be off, a clause or several; empty for a quiet machine, or one that tells nothing."""
    return noise_in(row.conditions)


def noise_in(conditions: Conditions | None) -> str:
    """The same of what was seen while something was measured."""
    return "" if conditions is None else "; ".join(_reasons(conditions))


def noise_sentence(conditions: Conditions | None) -> str:
    """A sentence to follow a verdict, with the blank before it; empty for a quiet machine."""
    return f" The machine was noisy meanwhile: {noise}." if (noise := noise_in(conditions)) else ""


def crowd_in(conditions: Conditions | None) -> str:
    """The clause about other programs alone, whose time a measurement by turns cannot give back; empty for none.

    Heat is another matter: a board that throttles under load does so in use too.
    """
    share = None if conditions is None else conditions.others_share
    if share is None or share <= MOST_OTHERS_SHARE:
        return ""
    return f"other programs took {share:.0%} of the processors"


def conditions_text(conditions: Conditions | None) -> str:
    """All that is known, on one line."""
    if conditions is None:
        return "not known"
    told = []
    if conditions.others_share is not None:
        told.append(f"others took {conditions.others_share:.0%} of the processors")
    if conditions.frequency_hz is not None:
        told.append("{} to {} GHz".format(*(f"{hz / 1e9:.2f}" for hz in conditions.frequency_hz)))
    if conditions.temperature_c is not None:
        told.append("{} to {} C".format(*(f"{celsius:.0f}" for celsius in conditions.temperature_c)))
    if conditions.throttled is not None:
        told.append(
            f"throttled by {plain_line(', '.join(conditions.throttled))}" if conditions.throttled else "no throttling"
        )
    if not told:
        return "not told by this machine"
    # Nothing about throttling must not read as no throttling.
    senses = (
        ("clock", conditions.frequency_hz),
        ("temperature", conditions.temperature_c),
        ("throttling", conditions.throttled),
    )
    missing = [name for name, value in senses if value is None]
    return ", ".join(told) + (f"; not told here: {', '.join(missing)}" if missing else "")


def _reasons(conditions: Conditions) -> list[str]:
    reasons = [crowd] if (crowd := crowd_in(conditions)) else []
    if conditions.throttled:
        reasons.append(f"the processor was throttled ({plain_line(', '.join(conditions.throttled))})")
    if conditions.frequency_hz is not None:
        began, ended = conditions.frequency_hz
        if ended < began * LEAST_FREQUENCY_SHARE:
            reasons.append(f"its frequency fell from {began / 1e9:.2f} to {ended / 1e9:.2f} GHz")
    return reasons
