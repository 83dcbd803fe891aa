"""Whether a model of so many parameters could run here, before anything else of it is known."""

from __future__ import annotations

from typing import Literal

RoughFit = Literal["fits", "tight", "too big", ""]
BITS_A_WEIGHT = 4.9
"""Of Q4_K_M over whole models, as the files of Llama 3.1 8B and Qwen3 8B come out (4.89 and 4.91)."""
_BESIDE_BYTES = 600 * 1024**2
"""KV cache of a few thousand tokens, buffers and the process."""
_ROOMY_SHARE = 0.8


def rough_fit(parameter_count: int | None, available_bytes: int | None) -> RoughFit:
    """As Q4_K_M with a context of a few thousand tokens; empty where parameters or memory are unknown."""
    if not parameter_count or not available_bytes:
        return ""
    needed = parameter_count * BITS_A_WEIGHT / 8 + _BESIDE_BYTES
    if needed <= available_bytes * _ROOMY_SHARE:
        return "fits"
    return "tight" if needed <= available_bytes else "too big"


def rough_order(parameter_count: int | None, available_bytes: int | None) -> tuple[int, int]:
    """Key to sort by: the largest of those that fit first, then what is tight, unknown, too big."""
    place = {"fits": 0, "tight": 1, "": 2, "too big": 3}[rough_fit(parameter_count, available_bytes)]
    return place, -(parameter_count or 0) if place < 2 else (parameter_count or 0)
