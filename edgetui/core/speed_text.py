"""A forecast of speed in words: lines of label and text, for the screen and the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetui.core.units import MISSING, format_bytes

if TYPE_CHECKING:
    from edgetui.core.bench import BenchRow
    from edgetui.core.calibration import Calibration, Rate
    from edgetui.core.fit import SpeedForecast
    from edgetui.core.hardware import Reading


def speed_facts(
    forecast: Reading[SpeedForecast], measured: tuple[BenchRow | None, BenchRow | None] = (None, None)
) -> list[tuple[str, str]]:
    """Both rates with their intervals, the measured ones beside them, and the inputs; `~` marks what is predicted."""
    prefill, decode = (f", measured {row.mean_tps:.1f} ({row.name})" if row else "" for row in measured)
    found = forecast.value
    if found is None:
        facts = [("SPEED", f"{MISSING} ({forecast.reason})")]
        facts += [("", text.removeprefix(", ")) for text in (prefill, decode) if text]
        return facts
    return [
        (
            "SPEED",
            f"~{found.decode_tps:.1f} tok/s predicted decode after {found.context_tokens} tokens"
            f" ({found.decode_low_tps:.1f} to {found.decode_high_tps:.1f}){decode}",
        ),
        (
            "prefill",
            f"~{found.prefill_tps:.0f} tok/s predicted"
            f" ({found.prefill_low_tps:.0f} to {found.prefill_high_tps:.0f}){prefill}",
        ),
        (
            "from",
            f"{format_bytes(found.bytes_per_token)} a token at {format_bytes(int(found.bandwidth_bytes_per_s))}/s,"
            f" {found.efficiency:.0%} of it reached; {found.threads} thread{'' if found.threads == 1 else 's'};"
            f" {_rows(found.measured_rows)}",
        ),
        *((("doubtful", found.doubt),) if found.doubt else ()),
        *(("verify", command) for command in found.commands),
    ]


def calibration_facts(calibration: Calibration) -> list[tuple[str, str]]:
    """What a calibration found, a block for each number of threads."""
    facts = [
        (
            "calibrated",
            f"in {calibration.duration_s:.1f} s, {calibration.rounds} rounds,"
            f" {format_bytes(calibration.buffer_bytes)} of each type, llama-cpp-python {calibration.engine_version}",
        )
    ]
    if calibration.disturbance:
        facts.append(("doubtful", calibration.disturbance))
    for part in calibration.threads:
        rate = part.bandwidth
        facts.append(
            (
                f"{part.threads} thread{'' if part.threads == 1 else 's'}",
                f"{format_bytes(int(rate.per_s))}/s read ({format_bytes(int(rate.low))} to"
                f" {format_bytes(int(rate.high))}), {part.matmul_node_s * 1e6:.2f} us a small product,"
                f" {part.node_s * 1e6:.2f} us another node",
            )
        )
        facts += [
            (
                f"  {entry.type_name}",
                f"decode {_billions(entry.decode, 1)}, prefill {_billions(entry.prefill, 0)} billion weights/s",
            )
            for entry in part.types
        ]
    return facts


def _billions(rate: Rate, digits: int) -> str:
    figure, low, high = (f"{value / 1e9:.{digits}f}" for value in (rate.per_s, rate.low, rate.high))
    return f"{figure} ({low} to {high})"


def _rows(count: int) -> str:
    if not count:
        return "not corrected by measurements yet"
    return f"corrected by {count} measurement{'' if count == 1 else 's'}"
