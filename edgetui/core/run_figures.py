"""What Run shows beside an answer: its figures, the machine meanwhile, and the reason for each that is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from edgetui.core.hardware_text import format_celsius, format_share
from edgetui.core.machine_text import format_frequency
from edgetui.core.power_text import format_joules_per_token, format_watts
from edgetui.core.reading import Reading, unknown
from edgetui.core.units import MISSING, format_bytes, format_duration, format_rate

if TYPE_CHECKING:
    from collections.abc import Sequence

_NOT_YET = unknown("nothing was measured yet")
_NOT_KEPT = "it was not measured, or not kept"


class MachineNow(NamedTuple):
    """The machine while a model answers."""

    cpu_load: Reading[float] = _NOT_YET
    """All processors together, 0 to 1."""
    gpu_load: Reading[float] | None = None
    """Of the busiest accelerator; None where there is none."""
    celsius: Reading[float] = _NOT_YET
    """The hottest sensor."""
    frequency_hz: Reading[float] = _NOT_YET
    """Mean of the processors."""
    watts: Reading[float] = _NOT_YET
    joules: Reading[float] = _NOT_YET
    """Since the first look; only differences mean something."""


class KeptWith(NamedTuple):
    """Of figures that were kept with an answer of another time: which one, and what made it."""

    place: str
    """Such as `2 of 5`."""
    model_name: str
    engine: str
    settings: str


class RunFigures(NamedTuple):
    """What the panel shows; None is shown as `-`."""

    state: str = "no model"
    decode_tps: float | None = None
    rates_tps: Sequence[float | None] = ()
    """Over the time of the answer; None where no token came."""
    mean_tps: float | None = None
    itl_p50_s: float | None = None
    itl_p95_s: float | None = None
    itl_p99_s: float | None = None
    prefill_tps: float | None = None
    ttft_s: float | None = None
    network_s: float | None = None
    tokens: int | None = None
    context_used: int | None = None
    context_tokens: int | None = None
    reused_tokens: int | None = None
    prompt_tokens: int | None = None
    kv_cache_bytes: int | None = None
    resident_bytes: int | None = None
    machine: MachineNow = MachineNow()
    joules_per_token: Reading[float] = _NOT_YET
    bandwidth_share: Reading[float] = _NOT_YET
    draft_tokens: int = 0
    accepted_tokens: int = 0
    kept: KeptWith | None = None
    """None while they are those of the answer under way, or of the one before it."""


class FigureRow(NamedTuple):
    """One line of the panel."""

    label: str
    value: str
    reason: str = ""
    """Why there is no value."""
    rank: int = 0
    """Where there is no room for all rows, those with the highest go first."""


def figure_rows(figures: RunFigures, *, roomy: bool) -> list[FigureRow]:
    """Everything below the decode rate, in the order of the screen; `roomy` for rows that are 42 wide or more."""
    kept = figures.kept
    idle = "no answer was measured yet" if kept is None else _NOT_KEPT
    rows = [FigureRow("ANSWER", kept.place)] if kept is not None else []
    rows += [
        _plain("MEAN", format_rate(figures.mean_tps), idle, 1),
        *_latencies(figures, idle, roomy=roomy),
        _plain("PREFILL", format_rate(figures.prefill_tps), "nothing had to be computed", 1),
        _plain("TTFT", format_duration(figures.ttft_s), idle, 1),
    ]
    if figures.network_s is not None:
        rows.append(FigureRow("NETWORK", format_duration(figures.network_s), "", 3))
    no_memory = "no worker of this machine holds a model" if kept is None else _NOT_KEPT
    rows += [
        _plain("TOKENS", MISSING if figures.tokens is None else str(figures.tokens), idle, 2),
        _plain("CONTEXT", _context(figures), idle, 1),
        _plain("KV REUSED", _reused(figures, roomy=roomy), idle, 3),
        _plain("KV CACHE", format_bytes(figures.kv_cache_bytes or None), "the engine does not tell it", 5),
        _plain("MEMORY", format_bytes(figures.resident_bytes), no_memory, 2),
    ]
    energy = _read("ENERGY", figures.joules_per_token, format_joules_per_token(figures.joules_per_token.value), 6)
    if kept is None:
        rows += _machine(figures, energy)
    else:
        # What the machine does now is nothing of an answer of another time.
        rows.append(energy)
    if figures.draft_tokens:
        share = figures.accepted_tokens / figures.draft_tokens
        counted = f" ({figures.accepted_tokens} of {figures.draft_tokens})" if roomy else ""
        rows.append(FigureRow("ACCEPTED", f"{share * 100:.0f} %{counted}", "", 2))
    if kept is not None and roomy:
        rows += [
            FigureRow("MODEL", kept.model_name, "", 7),
            FigureRow("ENGINE", kept.engine, "", 7),
            FigureRow("SETTINGS", kept.settings, "", 7),
        ]
    return [*rows, FigureRow("STATE", figures.state)]


def _machine(figures: RunFigures, energy: FigureRow) -> list[FigureRow]:
    machine = figures.machine
    rows = [_read("CPU", machine.cpu_load, format_share(machine.cpu_load.value), 4)]
    if machine.gpu_load is not None:
        rows.append(_read("GPU", machine.gpu_load, format_share(machine.gpu_load.value), 4))
    hz = machine.frequency_hz.value
    return [
        *rows,
        _read("TEMP", machine.celsius, format_celsius(machine.celsius.value), 6),
        _read("CLOCK", machine.frequency_hz, format_frequency(None if hz is None else round(hz)), 7),
        _read("POWER", machine.watts, format_watts(machine.watts.value), 6),
        energy,
        _read("OF BANDWIDTH", figures.bandwidth_share, format_share(figures.bandwidth_share.value), 4),
    ]


def fitted(rows: Sequence[FigureRow], room: int) -> list[FigureRow]:
    """As many rows as there is room for, in their order: of the highest ranks those without a value go first."""
    kept = list(rows)
    while len(kept) > max(0, room):
        kept.remove(max(kept, key=lambda row: (row.rank, row.value == MISSING)))
    return kept


def _latencies(figures: RunFigures, idle: str, *, roomy: bool) -> list[FigureRow]:
    three = (figures.itl_p50_s, figures.itl_p95_s, figures.itl_p99_s)
    if roomy:
        return [
            _plain(f"ITL {name}", format_duration(value), idle, rank)
            for name, value, rank in zip(("p50", "p95", "p99"), three, (2, 3, 2), strict=True)
        ]
    if any(value is None for value in three):
        return [FigureRow("ITL p50/95/99", MISSING, idle, 2)]
    return [FigureRow("ITL", "/".join(_milliseconds(value) for value in three if value is not None) + " ms", "", 2)]


def _milliseconds(seconds: float) -> str:
    milliseconds = seconds * 1000
    return f"{milliseconds:.1f}" if milliseconds < 9.95 else f"{milliseconds:.0f}"


def _context(figures: RunFigures) -> str:
    if figures.context_used is None:
        return MISSING
    return f"{figures.context_used}/{figures.context_tokens or MISSING}"


def _reused(figures: RunFigures, *, roomy: bool) -> str:
    if figures.reused_tokens is None:
        return MISSING
    return f"{figures.reused_tokens} of {figures.prompt_tokens}" + (" prompt tokens (KV cache)" if roomy else "")


def _plain(label: str, value: str, reason: str, rank: int) -> FigureRow:
    return FigureRow(label, value, reason if value == MISSING else "", rank)


def _read(label: str, reading: Reading[float], value: str, rank: int) -> FigureRow:
    return FigureRow(label, value, reading.reason if reading.value is None else "", rank)
