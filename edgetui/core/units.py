"""Figures as text: binary sizes, rates, durations. A figure that was not measured is `-`, never 0."""

from __future__ import annotations

MISSING = "-"
"""What stands where a figure could not be measured."""

KIB = 1024
MIB = 1024**2
GIB = 1024**3

_SIZE_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def format_bytes(size_bytes: float | None) -> str:
    """`1536` -> `1.5 KiB`: three significant figures, binary units."""
    if size_bytes is None:
        return MISSING
    value = float(size_bytes)
    unit = _SIZE_UNITS[0]
    for unit in _SIZE_UNITS:
        if abs(value) < 999.5 or unit == _SIZE_UNITS[-1]:
            break
        value /= 1024
    if unit == "B":
        return f"{value:.0f} B"
    return f"{_three_figures(value)} {unit}"


def format_count(count: int | None) -> str:
    """`134515008` -> `135M`: parameters and other large counts, decimal."""
    if count is None:
        return MISSING
    value = float(count)
    for suffix in ("", "K", "M", "B", "T"):
        if abs(value) < 999.5 or suffix == "T":
            return f"{value:.0f}" if not suffix else f"{_three_figures(value)}{suffix}"
        value /= 1000
    raise AssertionError("unreachable")


def counted(count: int, noun: str) -> str:
    """`1 piece`, `2 pieces`: of nouns that take an s."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def format_rate(tokens_per_s: float | None) -> str:
    """`112.43` -> `112.4 tok/s`."""
    return MISSING if tokens_per_s is None else f"{tokens_per_s:.1f} tok/s"


def format_duration(seconds: float | None) -> str:
    """`0.0123` -> `12.3 ms`, `75` -> `1m 15s`."""
    if seconds is None:
        return MISSING
    if seconds < 1:
        return f"{_three_figures(seconds * 1000)} ms"
    if seconds < 60:
        return f"{_three_figures(seconds)} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}m {rest:02d}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes:02d}m"


def _three_figures(value: float) -> str:
    if abs(value) >= 99.95:
        return f"{value:.0f}"
    if abs(value) >= 9.995:
        return f"{value:.1f}"
    return f"{value:.2f}"
