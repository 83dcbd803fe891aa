"""A hardware energy counter read now and then: power between two reads, energy since the first, wraparound included."""

from __future__ import annotations

from edgetui.core.hardware import Reading, known, unknown

_MOST_WATTS = 500.0
"""No single domain draws more: decides after what silence a counter may have wrapped unseen."""
_FIRST = unknown("power is measured between two samples, and this is the first")
_TOO_SOON = unknown("no time passed since the sample before")
_UNSEEN = unknown("nobody looked for so long that the counter may have wrapped unseen")


class EnergyCounter:
    """Sums what a counter gained; `range_joules` is where it starts again at 0, None when it does not."""

    def __init__(self, range_joules: float | None) -> None:
        self._range = range_joules
        self._before: tuple[float, float] | None = None
        self._sum = 0.0

    def add(self, energy: Reading[float], now: float) -> tuple[Reading[float], Reading[float]]:
        """Watts since the read before and joules since the first; a failed read keeps what was counted."""
        if energy.value is None:
            return unknown(energy.reason), unknown(energy.reason)
        before, self._before = self._before, (energy.value, now)
        if before is None:
            return _FIRST, known(0.0)
        gained, elapsed = energy.value - before[0], now - before[1]
        if self._range is not None and elapsed * _MOST_WATTS > self._range:
            self._sum = 0.0
            return _UNSEEN, known(0.0)
        if gained < 0:
            if self._range is None:
                # Started again, as after a driver was loaded anew: what it counted until then is unknown.
                return _UNSEEN, known(self._sum)
            gained += self._range
        self._sum += gained
        return (known(gained / elapsed) if elapsed > 0 else _TOO_SOON), known(self._sum)
