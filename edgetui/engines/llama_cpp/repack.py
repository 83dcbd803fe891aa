"""Which weights the CPU backend keeps a second time, rearranged for this processor's instructions."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

from edgetui.core.ggml import TENSOR_TYPES
from edgetui.engines.llama_cpp.ggml_graph import F32, I32, InitParams, bindings, cpu_device, weight_buffer_kinds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetui.formats.gguf_header import GgufHeader

_TYPE_NUMBERS = {kind.name: number for number, kind in TENSOR_TYPES.items()}
_CONTEXT_BYTES = 1 << 20
"""Room for the descriptions of a few tensors; no data."""


class _TensorHead(ctypes.Structure):
    """How a `ggml_tensor` begins (ggml.h): as much as is set here."""

    _fields_ = (("type", ctypes.c_int), ("buffer", ctypes.c_void_p))


def repacked_bytes(header: GgufHeader) -> int:
    """Bytes of the copies that loading this model makes, asked of ggml for each type and shape of tensor.

    llama.cpp puts a weight into the first kind of buffer whose device can multiply by it, the CPU backend's
    rearranging kinds first (`select_weight_buft` in llama-model.cpp); the file stays mapped beside the copy.
    """
    has_output = any(tensor.name == "output.weight" for tensor in header.tensors)
    known: dict[tuple[str, tuple[int, ...]], bool] = {}
    total = 0
    for tensor in header.tensors:
        # The embedding is only looked up in, unless it serves as the output too.
        looked_up = tensor.name == "token_embd.weight" and has_output
        if looked_up or len(tensor.shape) not in (2, 3) or not tensor.name.endswith(".weight"):
            continue
        key = (tensor.type.name, tensor.shape)
        if key not in known:
            known[key] = _is_repacked(_TYPE_NUMBERS[tensor.type.name], tensor.shape)
        if known[key]:
            total += tensor.size_bytes
    return total


def rearranged_types(names: Sequence[str], width: int) -> tuple[str, ...]:
    """Those of these tensor types of which a square matrix of this width would be kept a second time."""
    return tuple(name for name in names if _is_repacked(_TYPE_NUMBERS[name], (width, width)))


def _is_repacked(type_number: int, shape: tuple[int, ...]) -> bool:
    ggml, device = bindings(), cpu_device()
    context = ggml.ggml_init(InitParams(_CONTEXT_BYTES, None, True))
    try:
        for kind in weight_buffer_kinds()[:-1]:
            if len(shape) == 2:
                weight = ggml.ggml_new_tensor_2d(context, type_number, *shape)
                vector = ggml.ggml_new_tensor_2d(context, F32, shape[0], 512)
                product = ggml.ggml_mul_mat(context, weight, vector)
            else:
                weight = ggml.ggml_new_tensor_3d(context, type_number, *shape)
                vector = ggml.ggml_new_tensor_3d(context, F32, shape[0], 1, 512)
                chosen = ggml.ggml_new_tensor_2d(context, I32, 1, 512)
                product = ggml.ggml_mul_mat_id(context, weight, vector, chosen)
            buffer = ggml.ggml_backend_buft_alloc_buffer(kind, 0)
            try:
                ctypes.cast(weight, ctypes.POINTER(_TensorHead)).contents.buffer = buffer
                if ggml.ggml_backend_dev_supports_op(device, product):
                    return True
            finally:
                ggml.ggml_backend_buffer_free(buffer)
        return False
    finally:
        ggml.ggml_free(context)
