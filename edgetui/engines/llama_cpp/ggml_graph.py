"""Graphs of ggml on its CPU backend, made and computed through the library that llama.cpp loads."""

from __future__ import annotations

import ctypes
import time
from contextlib import ExitStack
from functools import cache
from typing import Any

from edgetui.core.failures import EdgetuiError
from edgetui.engines.llama_cpp import library

F32, F16, I32 = 0, 1, 26
_CPU_DEVICE = 0
"""`GGML_BACKEND_DEVICE_TYPE_CPU`"""
_NODES = 4096
"""Most nodes of one graph."""


class InitParams(ctypes.Structure):
    """`ggml_init_params` (ggml.h)."""

    _fields_ = (("mem_size", ctypes.c_size_t), ("mem_buffer", ctypes.c_void_p), ("no_alloc", ctypes.c_bool))


class Arena:
    """Tensors and graphs that live and go together; close it to give the memory back."""

    def __init__(self) -> None:
        self._ggml = bindings()
        self._stack = ExitStack()
        self.backend = self._ggml.ggml_backend_dev_init(cpu_device(), None)
        if not self.backend:
            raise EdgetuiError("unsupported", "This build of llama.cpp has no CPU backend to calibrate.")
        self._stack.callback(self._ggml.ggml_backend_free, self.backend)

    def close(self) -> None:
        """Free everything made here."""
        self._stack.close()

    def set_threads(self, count: int) -> None:
        """Threads of the computations to come."""
        _procedure("ggml_backend_set_n_threads", None, ctypes.c_void_p, ctypes.c_int)(self.backend, count)

    def context(self) -> int:
        """A context for descriptions of tensors, without their data."""
        size = self._ggml.ggml_tensor_overhead() * _NODES * 2 + 2 * self._ggml.ggml_graph_overhead_custom(_NODES, False)
        made = int(self._ggml.ggml_init(InitParams(size, None, True)))
        self._stack.callback(self._ggml.ggml_free, made)
        return made

    def allocate(self, context: int, kind: int | None = None) -> None:
        """Memory for the tensors of a context, of a kind of buffer; the host's own by default."""
        kind = kind or self._ggml.ggml_backend_dev_buffer_type(cpu_device())
        buffer = self._ggml.ggml_backend_alloc_ctx_tensors_from_buft(context, kind)
        if not buffer:
            raise EdgetuiError("out_of_memory", "There is not enough memory to calibrate: close other programs.")
        self._stack.callback(self._ggml.ggml_backend_buffer_free, buffer)

    def graph(self, context: int, results: list[int]) -> Graph:
        """What computes these tensors, with memory for everything between."""
        graph = self._ggml.ggml_new_graph_custom(context, _NODES, False)
        for result in results:
            self._ggml.ggml_build_forward_expand(graph, result)
        allocator = self._ggml.ggml_gallocr_new(self._ggml.ggml_backend_dev_buffer_type(cpu_device()))
        self._stack.callback(self._ggml.ggml_gallocr_free, allocator)
        if not self._ggml.ggml_gallocr_alloc_graph(allocator, graph):
            raise EdgetuiError("out_of_memory", "There is not enough memory to calibrate: close other programs.")
        return Graph(self, graph)


class Graph:
    """A graph that can be computed again and again."""

    def __init__(self, arena: Arena, graph: int) -> None:
        self._arena = arena
        self._graph = graph

    def seconds(self) -> float:
        """Compute it once."""
        started = time.perf_counter()
        if bindings().ggml_backend_graph_compute(self._arena.backend, self._graph) != 0:
            raise EdgetuiError("internal", "ggml could not compute a graph of the calibration.")
        return time.perf_counter() - started


@cache
def cpu_device() -> int:
    """ggml's CPU."""
    return int(bindings().ggml_backend_dev_by_type(_CPU_DEVICE))


@cache
def weight_buffer_kinds() -> tuple[int, ...]:
    """Kinds of buffer that weights may lie in, in llama.cpp's order: rearranging kinds first, the host's own last."""
    ggml = bindings()
    kinds: list[int] = []
    listed = _procedure("ggml_backend_dev_get_extra_bufts", ctypes.POINTER(ctypes.c_void_p), ctypes.c_void_p)(
        cpu_device()
    )
    while listed and (kind := listed[len(kinds)]):
        kinds.append(kind)
    return (*kinds, int(ggml.ggml_backend_dev_buffer_type(cpu_device())))


def _procedure(name: str, result: Any, *arguments: Any) -> Any:
    """A function of the CPU backend that its library does not export by name on every platform."""
    registry = bindings().ggml_backend_dev_backend_reg(cpu_device())
    address = bindings().ggml_backend_reg_get_proc_address(registry, name.encode())
    if not address:
        return lambda *_arguments: None
    return ctypes.CFUNCTYPE(result, *arguments)(address)


@cache
def bindings() -> Any:
    """ggml's library with the signatures of what is used here."""
    library.load()
    import llama_cpp._ggml as binding

    ggml = binding.libggml
    pointer, integer, number, size = ctypes.c_void_p, ctypes.c_int, ctypes.c_int64, ctypes.c_size_t
    real, boolean = ctypes.c_float, ctypes.c_bool
    signatures: dict[str, tuple[list[Any], Any]] = {
        "ggml_init": ([InitParams], pointer),
        "ggml_free": ([pointer], None),
        "ggml_tensor_overhead": ([], size),
        "ggml_graph_overhead_custom": ([size, boolean], size),
        "ggml_new_graph_custom": ([pointer, size, boolean], pointer),
        "ggml_build_forward_expand": ([pointer, pointer], None),
        "ggml_new_tensor_2d": ([pointer, integer, number, number], pointer),
        "ggml_new_tensor_3d": ([pointer, integer, number, number, number], pointer),
        "ggml_mul_mat": ([pointer, pointer, pointer], pointer),
        "ggml_mul_mat_id": ([pointer, pointer, pointer, pointer], pointer),
        "ggml_add": ([pointer, pointer, pointer], pointer),
        "ggml_mul": ([pointer, pointer, pointer], pointer),
        "ggml_rope": ([pointer, pointer, pointer, integer, integer], pointer),
        "ggml_new_tensor_1d": ([pointer, integer, number], pointer),
        "ggml_silu": ([pointer, pointer], pointer),
        "ggml_rms_norm": ([pointer, pointer, real], pointer),
        "ggml_flash_attn_ext": ([pointer, pointer, pointer, pointer, pointer, real, real, real], pointer),
        "ggml_view_3d": ([pointer, pointer, number, number, number, size, size, size], pointer),
        "ggml_quantize_chunk": ([integer, pointer, pointer, number, number, number, pointer], size),
        "ggml_row_size": ([integer, number], size),
        "ggml_backend_tensor_set": ([pointer, pointer, size, size], None),
        "ggml_backend_tensor_get": ([pointer, pointer, size, size], None),
        "ggml_backend_dev_by_type": ([integer], pointer),
        "ggml_backend_dev_init": ([pointer, ctypes.c_char_p], pointer),
        "ggml_backend_dev_buffer_type": ([pointer], pointer),
        "ggml_backend_dev_backend_reg": ([pointer], pointer),
        "ggml_backend_dev_supports_op": ([pointer, pointer], boolean),
        "ggml_backend_reg_get_proc_address": ([pointer, ctypes.c_char_p], pointer),
        "ggml_backend_alloc_ctx_tensors_from_buft": ([pointer, pointer], pointer),
        "ggml_backend_buft_alloc_buffer": ([pointer, size], pointer),
        "ggml_backend_buffer_free": ([pointer], None),
        "ggml_backend_free": ([pointer], None),
        "ggml_backend_graph_compute": ([pointer, pointer], integer),
        "ggml_gallocr_new": ([pointer], pointer),
        "ggml_gallocr_free": ([pointer], None),
        "ggml_gallocr_alloc_graph": ([pointer, pointer], boolean),
    }
    for name, (arguments, result) in signatures.items():
        function = getattr(ggml, name)
        function.argtypes, function.restype = arguments, result
    return ggml
