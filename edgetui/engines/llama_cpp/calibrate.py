"""A calibration: the matrix products, attention and small nodes of a decode, timed in ggml itself.

All graphs are made first and then computed in turn, round after round, so that a machine that changes its speed
changes it for all of them.
"""

from __future__ import annotations

import ctypes
import random
import time
from array import array
from contextlib import ExitStack
from itertools import zip_longest
from typing import TYPE_CHECKING, TypeAlias

from edgetui.core.calibration import (
    ATTENTION_CACHE_TYPES,
    ATTENTION_GROUP,
    CALIBRATED_TYPES,
    HEAD_WIDTHS,
    NARROW,
    PREFILL_COLUMNS,
    WIDE,
    AttentionRate,
    Calibration,
    Rate,
    ThreadCalibration,
    TypeRate,
)
from edgetui.core.failures import EdgetuiError
from edgetui.core.ggml import TENSOR_TYPES
from edgetui.core.statistics import median
from edgetui.engines import host
from edgetui.engines.llama_cpp import library
from edgetui.engines.llama_cpp.attention_graphs import attention_graphs, attention_name
from edgetui.engines.llama_cpp.ggml_graph import F16, F32, I32, Arena, Graph, bindings, cpu_device, weight_buffer_kinds
from edgetui.engines.llama_cpp.repack import rearranged_types

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edgetui.engines.stopping import StopFlag

Works: TypeAlias = "dict[str, tuple[Graph, float]]"
"""Graphs by name, each with how much of its thing it does."""

FEWEST_ROUNDS = 2
MOST_ROUNDS = 15
_SOURCE_ROWS = 32
"""Rows that are really quantized; a matrix repeats them."""
_NODES = 400
_HEADS, _HEAD_WIDTH = 8, 64
_TYPE_NUMBERS = {kind.name: number for number, kind in TENSOR_TYPES.items()}


def calibrate(
    budget_s: float,
    buffer_bytes: int,
    on_progress: Callable[[float], None],
    stop: StopFlag,
    type_names: Sequence[str] = CALIBRATED_TYPES,
) -> Calibration:
    """Measure for about `budget_s`, with `buffer_bytes` of weights a type where memory allows.

    Raises `EdgetuiError`: `cancelled`, `out_of_memory`, `engine_missing`.
    """
    started = time.perf_counter()
    available_bytes = host.available_memory_bytes()
    # Two widths of each type, in all a quarter of what is free.
    buffer_bytes = min(buffer_bytes, available_bytes // (8 * len(type_names)))
    counts = thread_counts()
    with ExitStack() as stack:
        arena = Arena()
        stack.callback(arena.close)
        weights: Works = {}
        for number, name in enumerate(type_names):
            _check(stop)
            for width in (WIDE, NARROW):
                weights |= _type_works(arena, name, width, buffer_bytes)
            on_progress(0.4 * (number + 1) / len(type_names))
        works = _small_works(arena) | _in_turn(attention_graphs(arena), weights)
        samples: dict[tuple[int, str], list[float]] = {}
        for graph, _ in works.values():
            graph.seconds()
        rounds, longest = 0, 0.0
        others_before, since = host.cpu_seconds_of_others(), time.perf_counter()
        while rounds < MOST_ROUNDS:
            began = time.perf_counter()
            if rounds >= FEWEST_ROUNDS and began - started + longest > budget_s:
                break
            for count in counts:
                arena.set_threads(count)
                for name, (graph, _) in works.items():
                    _check(stop)
                    # As a decode finds the caches: filled by the very weights that it reads again. A KV cache is
                    # found pushed out by them.
                    if not name.endswith("prefill") and not name.startswith("attention"):
                        graph.seconds()
                    samples.setdefault((count, name), []).append(graph.seconds())
            longest = max(longest, time.perf_counter() - began)
            rounds += 1
            on_progress(0.4 + 0.6 * rounds / MOST_ROUNDS)
        others_after, seconds = host.cpu_seconds_of_others(), time.perf_counter() - since
        amounts = {name: amount for name, (_, amount) in works.items()}
    return Calibration(
        measured_at=time.time(),
        duration_s=time.perf_counter() - started,
        buffer_bytes=buffer_bytes,
        rounds=rounds,
        engine_version=library.version(),
        others_cores=None
        if others_before is None or others_after is None
        else max(0.0, others_after - others_before) / seconds,
        available_bytes=available_bytes,
        rearranged_types=rearranged_types(type_names, WIDE),
        threads=tuple(
            _thread_calibration(
                count, {name: samples[count, name] for name in amounts}, amounts, type_names, buffer_bytes
            )
            for count in counts
        ),
    )


def _in_turn(first: Works, second: Works) -> Works:
    """Those of both in their order, one of these after one of those: no two KV caches follow one another."""
    pairs = zip_longest(first.items(), second.items())
    return dict(item for pair in pairs for item in pair if item is not None)


def thread_counts() -> tuple[int, ...]:
    """One, half of and all the cores that this process may use."""
    most = host.default_threads()
    return tuple(sorted({1, max(1, most // 2), most}))


def _thread_calibration(
    count: int,
    samples: dict[str, list[float]],
    amounts: dict[str, float],
    type_names: Sequence[str],
    buffer_bytes: int,
) -> ThreadCalibration:
    node_s = median(samples["node"]) / amounts["node"]
    matmul_node_s = median(samples["matmul node"]) / amounts["matmul node"]

    small = [Rate.of(samples[name]) for name in ("node", "matmul node", "elements")]

    def rate(name: str, overhead_s: float = 0.0) -> Rate:
        return Rate.of([amounts[name] / max(seconds - overhead_s, seconds / 2) for seconds in samples[name]])

    types = [
        TypeRate(
            type_name=name,
            # The forecast adds a node's own cost for every product of the model.
            decode=rate(f"{name} {WIDE}", amounts[f"{name} {WIDE}"] / WIDE**2 * matmul_node_s),
            narrow=rate(f"{name} {NARROW}", amounts[f"{name} {NARROW}"] / NARROW**2 * matmul_node_s),
            prefill=rate(f"{name} prefill"),
        )
        for name in type_names
    ]
    widths = {name: _matrix_bytes(name, WIDE) / WIDE**2 for name in type_names}
    fastest = max(types, key=lambda entry: entry.decode.per_s * widths[entry.type_name])
    bytes_a_weight = widths[fastest.type_name]
    return ThreadCalibration(
        threads=count,
        bandwidth=Rate(
            fastest.decode.per_s * bytes_a_weight,
            fastest.decode.low * bytes_a_weight,
            fastest.decode.high * bytes_a_weight,
        ),
        node_s=node_s,
        matmul_node_s=matmul_node_s,
        element_s=median(samples["elements"]) / amounts["elements"],
        nodes_spread=max(rate.spread for rate in small),
        attention=tuple(
            AttentionRate(
                head_width=width,
                cache_type=cache_type,
                alone=rate(attention_name(width, cache_type, 1)),
                grouped=rate(attention_name(width, cache_type, ATTENTION_GROUP)),
                prefill=rate(attention_name(width, cache_type, 0)),
            )
            for width in HEAD_WIDTHS
            for cache_type in ATTENTION_CACHE_TYPES
        ),
        types=tuple(types),
    )


def _small_works(arena: Arena) -> Works:
    """Graphs of what stands between products and attention, each with how much of its thing it does."""
    ggml = bindings()
    inputs = arena.context()
    vector = ggml.ggml_new_tensor_2d(inputs, F32, 64, 1)
    matrix = ggml.ggml_new_tensor_2d(inputs, F16, 64, 64)
    heads = ggml.ggml_new_tensor_3d(inputs, F32, _HEAD_WIDTH, _HEADS, 1)
    position = ggml.ggml_new_tensor_1d(inputs, I32, 1)
    batch = ggml.ggml_new_tensor_2d(inputs, F32, WIDE, PREFILL_COLUMNS)
    scale = ggml.ggml_new_tensor_2d(inputs, F32, WIDE, 1)
    arena.allocate(inputs)
    _fill(position, array("i", [7]))
    for tensor, floats in (
        (vector, 64),
        (heads, _HEAD_WIDTH * _HEADS),
        (batch, WIDE * PREFILL_COLUMNS),
        (scale, WIDE),
    ):
        _fill(tensor, array("f", [1.0]) * floats)
    _fill(matrix, array("H", [_ONE_HALF]) * (64 * 64))

    context = arena.context()
    node, product = heads, vector
    for _ in range(_NODES):
        product = ggml.ggml_mul_mat(context, matrix, product)
    # What stands between the products of a layer, in about its proportions.
    for _ in range(_NODES // 6):
        node = ggml.ggml_mul(context, ggml.ggml_rms_norm(context, node, 1e-5), heads)
        node = ggml.ggml_add(context, ggml.ggml_rope(context, node, position, _HEAD_WIDTH, 0), heads)
        node = ggml.ggml_silu(context, ggml.ggml_add(context, node, heads))
    element = batch
    for _ in range(4):
        element = ggml.ggml_mul(context, ggml.ggml_rms_norm(context, element, 1e-5), scale)
        element = ggml.ggml_silu(context, ggml.ggml_add(context, element, batch))
    return {
        "node": (arena.graph(context, [node]), _NODES // 6 * 6),
        "matmul node": (arena.graph(context, [product]), _NODES),
        "elements": (arena.graph(context, [element]), 16.0 * WIDE * PREFILL_COLUMNS),
    }


def _type_works(arena: Arena, name: str, width: int, buffer_bytes: int) -> Works:
    """Products of square matrices of one type with one column, and one of the wide ones with many columns."""
    ggml = bindings()
    number = _TYPE_NUMBERS[name]
    count = max(1, buffer_bytes // _matrix_bytes(name, width))
    inputs = arena.context()
    columns = [ggml.ggml_new_tensor_2d(inputs, F32, width, count) for count in (1, PREFILL_COLUMNS)]
    arena.allocate(inputs)
    generator = random.Random(0)
    row = array("f", (generator.gauss(0, 1) for _ in range(width)))
    for column, repeated in zip(columns, (1, PREFILL_COLUMNS), strict=True):
        _fill(column, row * repeated)
    data = _quantized(number, name, width)
    for kind in weight_buffer_kinds():
        weights = arena.context()
        matrices = [ggml.ggml_new_tensor_2d(weights, number, width, width) for _ in range(count)]
        context = arena.context()
        if not _is_taken(arena, kind, number, width):
            continue
        arena.allocate(weights, kind)
        for matrix in matrices:
            ggml.ggml_backend_tensor_set(matrix, data, 0, len(data))
        one = [ggml.ggml_mul_mat(context, matrix, columns[0]) for matrix in matrices]
        works = {f"{name} {width}": (arena.graph(context, one), float(count * width**2))}
        if width == WIDE:
            many = [ggml.ggml_mul_mat(context, matrices[0], columns[1])]
            works[f"{name} prefill"] = (arena.graph(context, many), float(width**2 * PREFILL_COLUMNS))
        return works
    raise EdgetuiError("unsupported", f"This build of llama.cpp cannot multiply by {name} on the CPU.")


def _is_taken(arena: Arena, kind: int, number: int, width: int) -> bool:
    """Whether the CPU multiplies by such weights when they lie in this kind of buffer."""
    ggml = bindings()
    weights, context = arena.context(), arena.context()
    matrix = ggml.ggml_new_tensor_2d(weights, number, width, _SOURCE_ROWS)
    arena.allocate(weights, kind)
    column = ggml.ggml_new_tensor_2d(context, F32, width, PREFILL_COLUMNS)
    return bool(ggml.ggml_backend_dev_supports_op(cpu_device(), ggml.ggml_mul_mat(context, matrix, column)))


def _quantized(number: int, name: str, width: int) -> bytes:
    """One matrix of random weights, a few rows of it repeated."""
    generator = random.Random(0)
    source = array("f", (generator.gauss(0, 0.05) for _ in range(width * _SOURCE_ROWS)))
    rows = ctypes.create_string_buffer(_matrix_bytes(name, width) // width * _SOURCE_ROWS)
    address, _ = source.buffer_info()
    bindings().ggml_quantize_chunk(number, address, rows, 0, _SOURCE_ROWS, width, None)
    return rows.raw * (width // _SOURCE_ROWS)


def _matrix_bytes(name: str, width: int) -> int:
    return width * int(bindings().ggml_row_size(_TYPE_NUMBERS[name], width))


def _fill(tensor: int, values: array[float] | array[int]) -> None:
    data = values.tobytes()
    bindings().ggml_backend_tensor_set(tensor, data, 0, len(data))


def _check(stop: StopFlag) -> None:
    if stop.is_set:
        raise EdgetuiError("cancelled", "The calibration was stopped; nothing was kept.")


_ONE_HALF = 0x3800
"""0.5 as F16."""
