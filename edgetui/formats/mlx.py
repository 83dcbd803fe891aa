"""What mlx-lm's files say beyond safetensors: packed weights beside their scales, bits and group sizes by layer."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from edgetui.core.models import TensorTypeShare

if TYPE_CHECKING:
    from edgetui.formats.safetensors import SafetensorsModel, SafetensorsTensor

_GROUP_SIZE = 64
"""mlx's own default."""
_WORD_BITS = 32


class MlxFacts(NamedTuple):
    """Figures of an MLX model, its weights counted unpacked."""

    quant_type: str | None
    """`4 bits g64` as most weights have it; safetensors' type for a model that is not quantized."""
    parameter_count: int
    shares: tuple[TensorTypeShare, ...]


def mlx_facts(model: SafetensorsModel) -> MlxFacts:
    """Count weights: `x.weight` in words of 32 bits with `x.scales` beside it holds as many as groups of scales say."""
    by_name = {tensor.name: tensor for tensor in model.tensors}
    sums: dict[str, list[int]] = {}
    counts: Counter[str] = Counter()
    for tensor in model.tensors:
        stem, _, kind = tensor.name.rpartition(".")
        packed = by_name.get(f"{stem}.weight")
        if kind in ("scales", "biases") and packed is not None and packed.type_name == "U32":
            name, count = "scales", 0
        else:
            name, count = _unpacked(tensor, by_name.get(f"{stem}.scales") if kind == "weight" else None, model)
        counts[name] += count
        entry = sums.setdefault(name, [0, 0, 0])
        entry[0] += 1
        entry[1] += count
        entry[2] += tensor.size_bytes
    shares = (TensorTypeShare(name, *entry) for name, entry in sums.items())
    return MlxFacts(
        max(counts, key=counts.__getitem__) if counts.total() else None,
        counts.total(),
        tuple(sorted(shares, key=lambda share: -share.size_bytes)),
    )


def _unpacked(tensor: SafetensorsTensor, scales: SafetensorsTensor | None, model: SafetensorsModel) -> tuple[str, int]:
    """Type and count of a tensor's weights."""
    words = math.prod(tensor.shape)
    if scales is None or tensor.type_name != "U32" or not words:
        return tensor.type_name, words
    group = _group_size(model, tensor.name.removesuffix(".weight"))
    weights = math.prod(scales.shape) * group
    bits = round(words * _WORD_BITS / weights) if weights else 0
    return f"{bits} bits g{group}", weights


def _group_size(model: SafetensorsModel, layer: str) -> int:
    told = model.config.get("quantization")
    for place in (told.get(layer), told) if isinstance(told, dict) else ():
        if isinstance(place, dict) and isinstance(size := place.get("group_size"), int) and 0 < size <= 4096:
            return size
    return _GROUP_SIZE
