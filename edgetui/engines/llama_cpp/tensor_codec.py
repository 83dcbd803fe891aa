"""Weights to and from ggml's tensor types by ggml's own code, on arrays."""

from __future__ import annotations

import ctypes
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, Any

from edgetui.core.failures import EdgetuiError
from edgetui.core.ggml import TENSOR_TYPES, TensorType
from edgetui.engines.llama_cpp import library

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

_NUMBERS = {kind.name: number for number, kind in TENSOR_TYPES.items()}


class _TypeTraits(ctypes.Structure):
    """The beginning of ggml.h's `ggml_type_traits`."""

    _fields_ = (
        ("type_name", ctypes.c_char_p),
        ("blck_size", ctypes.c_int64),
        ("blck_size_interleave", ctypes.c_int64),
        ("type_size", ctypes.c_size_t),
        ("is_quantized", ctypes.c_bool),
        ("to_float", ctypes.c_void_p),
        ("from_float_ref", ctypes.c_void_p),
    )


_TO_FLOAT = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)


class TensorCodec:
    """Turns rows into a type and back, a part of them a thread."""

    def __init__(self, threads: int) -> None:
        self._threads = max(1, threads)
        self._pool = ThreadPoolExecutor(self._threads)

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()

    def dequantize(
        self, kind: TensorType, data: bytes | bytearray | memoryview, row_elements: int
    ) -> NDArray[numpy.float32]:
        """Whole rows of a type as an array (rows, row_elements); raises `unsupported` for a type that ggml cannot."""
        import numpy

        raw = numpy.frombuffer(data, numpy.uint8)
        if kind.name == "F32":
            return raw.view(numpy.float32).reshape(-1, row_elements)
        to_float = _to_float(kind)
        row_bytes = row_elements // kind.block_elements * kind.block_bytes
        rows = raw.reshape(-1, row_bytes)
        values: NDArray[numpy.float32] = numpy.empty((len(rows), row_elements), numpy.float32)

        def convert(part: slice) -> None:
            source, target = rows[part], values[part]
            to_float(source.ctypes.data, target.ctypes.data, target.size)

        self._in_parts(len(rows), convert)
        return values

    def quantize(
        self,
        kind: TensorType,
        rows: NDArray[numpy.float32],
        importance: NDArray[numpy.float32] | None = None,
    ) -> NDArray[numpy.uint8]:
        """Rows (rows, elements) in a type that they divide into, as (rows, bytes); `importance` is one a column.

        The same bytes as llama-quantize writes. Values must be finite: ggml ends the process over others.
        """
        import numpy

        ggml = _ggml()
        count, elements = rows.shape
        rows = numpy.ascontiguousarray(rows, numpy.float32)
        made = numpy.empty((count, elements // kind.block_elements * kind.block_bytes), numpy.uint8)
        number = _NUMBERS[kind.name]
        weights = None if importance is None else numpy.ascontiguousarray(importance, numpy.float32)
        at = None if weights is None else weights.ctypes.data
        # The tables of a type are made by whoever needs them first.
        ggml.ggml_quantize_init(number)

        def convert(part: slice) -> None:
            source, target = rows[part], made[part]
            ggml.ggml_quantize_chunk(number, source.ctypes.data, target.ctypes.data, 0, len(source), elements, at)

        self._in_parts(count, convert)
        return made

    def _in_parts(self, count: int, convert: Any) -> None:
        step = -(-count // self._threads) or 1
        list(self._pool.map(convert, [slice(first, first + step) for first in range(0, count, step)]))


def needs_importance(kind: TensorType) -> bool:
    """Whether ggml quantizes to this type with an importance matrix only."""
    return bool(_ggml().ggml_quantize_requires_imatrix(_NUMBERS[kind.name]))


@cache
def _to_float(kind: TensorType) -> Any:
    traits = _ggml().ggml_get_type_traits(_NUMBERS[kind.name]).contents
    if traits.blck_size != kind.block_elements or traits.type_size != kind.block_bytes or not traits.to_float:
        raise EdgetuiError("unsupported", f"The installed llama.cpp cannot turn {kind.name} into numbers.")
    return _TO_FLOAT(traits.to_float)


@cache
def _ggml() -> Any:
    """ggml's library with the signatures of what is used here."""
    library.load()
    import llama_cpp._ggml as binding

    ggml = binding.libggml
    pointer, number = ctypes.c_void_p, ctypes.c_int64
    signatures: dict[str, tuple[list[Any], Any]] = {
        "ggml_get_type_traits": ([ctypes.c_int], ctypes.POINTER(_TypeTraits)),
        "ggml_quantize_init": ([ctypes.c_int], None),
        "ggml_quantize_requires_imatrix": ([ctypes.c_int], ctypes.c_bool),
        "ggml_quantize_chunk": ([ctypes.c_int, pointer, pointer, number, number, number, pointer], ctypes.c_size_t),
    }
    for name, (arguments, result) in signatures.items():
        function = getattr(ggml, name)
        function.argtypes, function.restype = arguments, result
    return ggml
