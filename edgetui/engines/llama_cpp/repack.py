"""Which weights the CPU backend keeps a second time, rearranged for this processor's instructions."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import TYPE_CHECKING, Any

from edgetui.core.ggml import TENSOR_TYPES
from edgetui.engines.llama_cpp import library

if TYPE_CHECKING:
    from edgetui.formats.gguf_header import GgufHeader

_CPU_DEVICE = 0
"""`GGML_BACKEND_DEVICE_TYPE_CPU`"""
_F32, _I32 = 0, 26
_TYPE_NUMBERS = {kind.name: number for number, kind in TENSOR_TYPES.items()}
_CONTEXT_BYTES = 1 << 20
"""Room for the descriptions of a few tensors; no data."""


class _InitParams(ctypes.Structure):
    _fields_ = (("mem_size", ctypes.c_size_t), ("mem_buffer", ctypes.c_void_p), ("no_alloc", ctypes.c_bool))


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


def _is_repacked(type_number: int, shape: tuple[int, ...]) -> bool:
    ggml, device = _ggml(), _cpu_device()
    context = ggml.ggml_init(_InitParams(_CONTEXT_BYTES, None, True))
    try:
        for kind in _extra_buffer_kinds():
            if len(shape) == 2:
                weight = ggml.ggml_new_tensor_2d(context, type_number, *shape)
                vector = ggml.ggml_new_tensor_2d(context, _F32, shape[0], 512)
                product = ggml.ggml_mul_mat(context, weight, vector)
            else:
                weight = ggml.ggml_new_tensor_3d(context, type_number, *shape)
                vector = ggml.ggml_new_tensor_3d(context, _F32, shape[0], 1, 512)
                chosen = ggml.ggml_new_tensor_2d(context, _I32, 1, 512)
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


@cache
def _cpu_device() -> int:
    return int(_ggml().ggml_backend_dev_by_type(_CPU_DEVICE))


@cache
def _extra_buffer_kinds() -> tuple[int, ...]:
    """The CPU backend's rearranging buffer types, best first; none in a build without them."""
    ggml = _ggml()
    registry = ggml.ggml_backend_dev_backend_reg(_cpu_device())
    address = ggml.ggml_backend_reg_get_proc_address(registry, b"ggml_backend_dev_get_extra_bufts")
    if not address:
        return ()
    listed = ctypes.CFUNCTYPE(ctypes.POINTER(ctypes.c_void_p), ctypes.c_void_p)(address)(_cpu_device())
    kinds: list[int] = []
    while listed and (kind := listed[len(kinds)]):
        kinds.append(kind)
    return tuple(kinds)


@cache
def _ggml() -> Any:
    """ggml's library with the signatures of what is used here."""
    library.load()
    import llama_cpp._ggml as binding

    ggml = binding.libggml
    pointer, integer, number = ctypes.c_void_p, ctypes.c_int, ctypes.c_int64
    signatures: dict[str, tuple[list[Any], Any]] = {
        "ggml_init": ([_InitParams], pointer),
        "ggml_free": ([pointer], None),
        "ggml_new_tensor_2d": ([pointer, integer, number, number], pointer),
        "ggml_new_tensor_3d": ([pointer, integer, number, number, number], pointer),
        "ggml_mul_mat": ([pointer, pointer, pointer], pointer),
        "ggml_mul_mat_id": ([pointer, pointer, pointer, pointer], pointer),
        "ggml_backend_dev_by_type": ([integer], pointer),
        "ggml_backend_dev_backend_reg": ([pointer], pointer),
        "ggml_backend_dev_supports_op": ([pointer, pointer], ctypes.c_bool),
        "ggml_backend_reg_get_proc_address": ([pointer, ctypes.c_char_p], pointer),
        "ggml_backend_buft_alloc_buffer": ([pointer, ctypes.c_size_t], pointer),
        "ggml_backend_buffer_free": ([pointer], None),
    }
    for name, (arguments, result) in signatures.items():
        function = getattr(ggml, name)
        function.argtypes, function.restype = arguments, result
    return ggml
