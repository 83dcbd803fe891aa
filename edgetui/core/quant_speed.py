"""How fast a type decodes on this CPU beside F16, out of what the calibration measured of each tensor type."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetui.core.hardware import Reading, known, unknown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetui.core.calibration import ThreadCalibration

SMALL_SHARE = 0.02
"""Weights of types that were not measured may make up so much of a model, and are then left out."""


def speed_beside_f16(product_weights: Sequence[tuple[str, int]], measured: ThreadCalibration | None) -> Reading[float]:
    """How many times as fast as in F16 a token's products are in these types, or why that is not known.

    Time is the sum over types of weights / measured rate, for rows of the calibration's wide matrices.
    """
    if measured is None or (reference := measured.type_rate("F16")) is None:
        return unknown("this machine is not calibrated: edgetui calibrate")
    total = sum(count for _, count in product_weights)
    if not total:
        return unknown("the model has no matrices")
    seconds, counted = 0.0, 0
    absent = []
    for type_name, count in product_weights:
        rate = measured.type_rate(type_name)
        # Matrices that stay in F32, such as the gates of experts, are of no type that is calibrated.
        if rate is None:
            absent.append(type_name)
        else:
            seconds += count / rate.decode.per_s
            counted += count
    if counted < (1 - SMALL_SHARE) * total:
        return unknown(f"{' and '.join(sorted(absent))} {'is' if len(absent) == 1 else 'are'} not calibrated")
    return known(counted / reference.decode.per_s / seconds)


def speed_class(ratio: float | None) -> str:
    """`2.3x`: decode rate over that of F16; `-` when it is not known."""
    return "-" if ratio is None else f"{ratio:.1f}x"
