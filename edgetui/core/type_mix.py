"""Which tensor type llama.cpp's quantizer gives each tensor of a file type, without an importance matrix.

From its rules (`llama_tensor_get_type` in src/llama-quant.cpp); the tests compare with the library's dry run.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from edgetui.core.ggml import TENSOR_TYPES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetui.core.families import Member
    from edgetui.core.ggml import TensorType
    from edgetui.core.outline import OutlineTensor

BASE_TYPES = {"F16": "F16", "Q8_0": "Q8_0", "Q6_K": "Q6_K", "Q5_K_M": "Q5_K", "Q4_K_M": "Q4_K", "Q4_0": "Q4_0"}
"""File types known here, from the most to the least faithful, and what most of their tensors are stored in."""
_KINDS = {kind.name: kind for kind in TENSOR_TYPES.values()}
_FALLBACKS = {"Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0"}
"""For rows that blocks of 256 do not divide."""
_KEPT = re.compile(r"_norm\.weight|ffn_gate_inp\.weight|altup|laurel|per_layer_model_proj")
"""Names of tensors that are never quantized."""
_KEPT_WIDE = re.compile(r"_norm\.weight|ffn_gate_inp\.weight|altup_(correct|predict|router)")
"""Of these, names that the converter stores in F32."""
_LAYER = re.compile(r"blk\.(\d+)\.(attn_v|attn_qkv|ffn_down)")


def mixed_types(member: Member, tensors: Sequence[OutlineTensor], type_name: str) -> tuple[TensorType, ...]:
    """The type of each tensor in a file of `type_name`; raises `KeyError` for one that is not in `BASE_TYPES`."""
    base = BASE_TYPES[type_name]
    return tuple(_KINDS[_type(member, tensor, type_name, base)] for tensor in tensors)


def _type(member: Member, tensor: OutlineTensor, type_name: str, base: str) -> str:
    if len(tensor.shape) < 2 or _KEPT_WIDE.search(tensor.name):
        return "F32"
    if _KEPT.search(tensor.name) or base == "F16":
        return "F16"
    return _fitting(_wanted(member, tensor, type_name, base), tensor.shape[0])


def _wanted(member: Member, tensor: OutlineTensor, type_name: str, base: str) -> str:
    """Before it is known whether its rows divide into blocks."""
    name = tensor.name
    is_output = name == "output.weight" or (member.tied and name.endswith("token_embd.weight"))
    if is_output:
        if tensor.shape[0] % _KINDS[base].block_elements:
            return "Q8_0"
        return "Q8_0" if base == "Q8_0" else "Q6_K"
    found = _LAYER.match(name)
    if found and type_name in ("Q4_K_M", "Q5_K_M") and _has_more_bits(int(found[1]), member.layers):
        return "Q6_K"
    return base


def _has_more_bits(layer: int, layers: int) -> bool:
    """The first and last eighth, and every third layer between."""
    eighth = layers // 8
    return layer < eighth or layer >= 7 * layers // 8 or (layer - eighth) % 3 == 2


def _fitting(wanted: str, width: int) -> str:
    if width % _KINDS[wanted].block_elements == 0:
        return wanted
    narrower = _FALLBACKS.get(wanted, wanted)
    return narrower if width % _KINDS[narrower].block_elements == 0 else "F16"
