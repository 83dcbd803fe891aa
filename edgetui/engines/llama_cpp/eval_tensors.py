"""Nodes of a graph while ggml computes it: its tensor struct, read in place (`ggml_tensor` in ggml.h)."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any, NamedTuple

from edgetui.core.failures import EdgetuiError
from edgetui.engines.llama_cpp.ggml_graph import F32, bindings

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

_OBJECT_BYTES = 32
"""`GGML_OBJECT_SIZE`, which stands before each tensor."""
_FIRST_OPS = 60
"""Operations below that number exist in every build, and products are among them."""


class _Tensor(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("buffer", ctypes.c_void_p),
        ("ne", ctypes.c_int64 * 4),
        ("nb", ctypes.c_size_t * 4),
        ("op", ctypes.c_int),
        ("op_params", ctypes.c_int32 * 16),
        ("flags", ctypes.c_int32),
        ("src", ctypes.c_void_p * 10),
        ("view_src", ctypes.c_void_p),
        ("view_offs", ctypes.c_size_t),
        ("data", ctypes.c_void_p),
        ("name", ctypes.c_char * 64),
        ("extra", ctypes.c_void_p),
        ("padding", ctypes.c_char * 8),
    )


class EvalTensor:
    """One tensor; valid while the callback that gave it runs."""

    def __init__(self, ggml: Any, address: int) -> None:
        self._ggml = ggml
        self._address = address
        self._tensor = _Tensor.from_address(address)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Elements of each dimension, the row first, as ggml counts."""
        first, second, third, fourth = self._tensor.ne
        return first, second, third, fourth

    @property
    def name(self) -> str:
        """Without what a scheduler puts around it: `CUDA0#blk.0.attn_k.weight#0` is `blk.0.attn_k.weight`."""
        parts: list[str] = self._tensor.name.decode("utf-8", "replace").split("#")
        return parts[1] if len(parts) > 1 else parts[0]

    @property
    def is_f32(self) -> bool:
        """Whether the elements are floats."""
        return int(self._tensor.type) == F32

    def floats(self) -> NDArray[numpy.float32]:
        """The elements in four dimensions, the row last, where they lie or copied from a device."""
        import numpy

        return self._array(numpy.dtype(numpy.float32))

    def integers(self) -> NDArray[numpy.int32]:
        """The same of 32-bit integers."""
        import numpy

        return self._array(numpy.dtype(numpy.int32))

    def _array(self, kind: numpy.dtype[Any]) -> NDArray[Any]:
        import numpy

        tensor = self._tensor
        size = kind.itemsize + sum((length - 1) * step for length, step in zip(tensor.ne, tensor.nb, strict=True))
        if self._ggml.ggml_backend_buffer_is_host(tensor.buffer):
            data = (ctypes.c_char * size).from_address(tensor.data)
        else:
            data = (ctypes.c_char * size)()
            self._ggml.ggml_backend_tensor_get(self._address, data, 0, size)
        return numpy.ndarray(tuple(reversed(tensor.ne)), kind, data, strides=tuple(reversed(tensor.nb)))


class Product(NamedTuple):
    """A matrix product."""

    weights: EvalTensor
    inputs: EvalTensor
    ids: EvalTensor | None
    """Of a product by experts: which of them each token goes through."""


class Eval:
    """Tells the matrix products among the nodes of a graph."""

    def __init__(self) -> None:
        """Raises `EdgetuiError("unsupported")` for a build whose tensors look otherwise."""
        self._ggml = _bindings()
        if ctypes.sizeof(_Tensor) + _OBJECT_BYTES != self._ggml.ggml_tensor_overhead():
            raise EdgetuiError(
                "unsupported", "The installed llama.cpp keeps its tensors in a way that this edgetui does not know."
            )
        names = {self._ggml.ggml_op_name(number): number for number in range(_FIRST_OPS)}
        self._product, self._by_experts = names[b"MUL_MAT"], names[b"MUL_MAT_ID"]

    def product(self, address: int) -> Product | None:
        """The product that a node computes, None when it is something else."""
        node = _Tensor.from_address(address)
        if node.op not in (self._product, self._by_experts):
            return None
        weights, inputs, ids = (node.src[index] for index in range(3))
        by_experts = node.op == self._by_experts
        return Product(
            EvalTensor(self._ggml, weights),
            EvalTensor(self._ggml, inputs),
            EvalTensor(self._ggml, ids) if by_experts else None,
        )


def _bindings() -> Any:
    """ggml's library with the signatures of what is used here."""
    ggml = bindings()
    ggml.ggml_op_name.argtypes, ggml.ggml_op_name.restype = [ctypes.c_int], ctypes.c_char_p
    ggml.ggml_backend_buffer_is_host.argtypes = [ctypes.c_void_p]
    ggml.ggml_backend_buffer_is_host.restype = ctypes.c_bool
    return ggml
