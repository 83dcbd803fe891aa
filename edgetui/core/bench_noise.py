"""Whether the machine was quiet while a row was measured, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgetui.core.bench import Conditions

OTHERS_LIMIT = 0.05
"""Share of all processors' time beyond which others spoil a figure."""
FREQUENCY_LIMIT = 0.10
"""Change of the mean clock from begin to end, over what it was."""


def noise_of(conditions: Conditions | None) -> tuple[str, ...]:
    """What speaks against a figure measured under these conditions, each in a few words; empty where nothing does."""
    if conditions is None:
        return ()
    told = []
    if conditions.others_share is not None and conditions.others_share > OTHERS_LIMIT:
        told.append(f"other processes took {conditions.others_share:.0%} of the processors")
    if conditions.frequency_hz is not None and conditions.frequency_hz[0]:
        first, last = conditions.frequency_hz
        if abs(last / first - 1) > FREQUENCY_LIMIT:
            told.append(f"the clock went from {first / 1e9:.2f} to {last / 1e9:.2f} GHz")
    if conditions.throttled:
        told.append(f"the machine was held back ({', '.join(conditions.throttled)})")
    return tuple(told)
