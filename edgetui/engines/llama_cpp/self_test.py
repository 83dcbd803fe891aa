"""Proof that llama.cpp computes right here: a product of ggml's, against Python's own arithmetic."""

from __future__ import annotations

import ctypes
import random
import struct

from edgetui.core.failures import EdgetuiError
from edgetui.engines import host
from edgetui.engines.llama_cpp.ggml_graph import F16, F32, Arena, bindings

_WIDTH, _ROWS = 256, 64


def prove_product() -> str:
    """Multiply a matrix by a vector with as many threads as a chat would take; says what was proved.

    All numbers are eighths of small integers, so that F16 holds them and F32 their sums exactly. Raises
    `EdgetuiError`: `internal` for wrong numbers, `unsupported`, `out_of_memory`.
    """
    generator = random.Random(0)
    matrix = [[generator.randrange(-8, 9) / 8 for _ in range(_WIDTH)] for _ in range(_ROWS)]
    vector = [generator.randrange(-8, 9) / 8 for _ in range(_WIDTH)]
    expected = [sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix]
    threads = host.default_threads()
    found = _product(matrix, vector, threads)
    wrong = sum(a != b for a, b in zip(found, expected, strict=True))
    if wrong:
        raise EdgetuiError(
            "internal",
            f"ggml computed {wrong} of {_ROWS} sums of a matrix product wrong: this build does not suit the processor.",
        )
    return f"a product of {_ROWS}x{_WIDTH} numbers is exact, {threads} thread{'' if threads == 1 else 's'}"


def _product(matrix: list[list[float]], vector: list[float], threads: int) -> tuple[float, ...]:
    ggml, arena = bindings(), Arena()
    try:
        arena.set_threads(threads)
        inputs, context = arena.context(), arena.context()
        weights = ggml.ggml_new_tensor_2d(inputs, F16, _WIDTH, _ROWS)
        column = ggml.ggml_new_tensor_2d(inputs, F32, _WIDTH, 1)
        arena.allocate(inputs)
        for tensor, data in (
            (weights, b"".join(struct.pack(f"<{_WIDTH}e", *row) for row in matrix)),
            (column, struct.pack(f"<{_WIDTH}f", *vector)),
        ):
            ggml.ggml_backend_tensor_set(tensor, data, 0, len(data))
        product = ggml.ggml_mul_mat(context, weights, column)
        arena.graph(context, [product]).seconds()
        result = ctypes.create_string_buffer(4 * _ROWS)
        ggml.ggml_backend_tensor_get(product, result, 0, 4 * _ROWS)
        return struct.unpack(f"<{_ROWS}f", result.raw)
    finally:
        arena.close()
