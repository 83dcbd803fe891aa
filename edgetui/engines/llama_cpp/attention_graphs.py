"""Attention as llama.cpp computes it over its KV cache, to be timed by a calibration."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from edgetui.core.calibration import ATTENTION_CACHE_TYPES, ATTENTION_GROUP, HEAD_WIDTHS, PREFILL_COLUMNS
from edgetui.core.ggml import TENSOR_TYPES
from edgetui.engines.llama_cpp.ggml_graph import F16, F32, Arena, Graph, bindings

if TYPE_CHECKING:
    from collections.abc import Iterator

_TOKENS = 4096
_CACHE_WIDTHS = {64: 512, 128: 1024, 256: 1024}
"""Elements of K or V a token for each width of head, as in Llama 3.2 1B, Qwen3 and Gemma 3: how far apart the rows of
one head lie decides how the processor's caches take them."""
_LAYERS = 2
"""Caches of a decode, which other work pushes out of the processor's caches between two computations."""
_TYPE_NUMBERS = {kind.name: number for number, kind in TENSOR_TYPES.items()}
_ONE_HALF = 0x3800
"""0.5 as F16."""
_MINUS_INFINITY = 0xFC00


def attention_graphs(arena: Arena) -> dict[str, tuple[Graph, float]]:
    """By `attention_name`: a graph, and its multiplications."""
    return {name: work for cache_type in ATTENTION_CACHE_TYPES for name, work in _graphs(arena, cache_type)}


def attention_name(width: int, cache_type: str, group: int) -> str:
    """Decode with so many query heads to a KV head; a group of 0 stands for a batch of queries."""
    return f"attention {width} {cache_type} {f'by {group}' if group else 'prefill'}"


def _graphs(arena: Arena, cache_type: str) -> Iterator[tuple[str, tuple[Graph, float]]]:
    ggml = bindings()
    number = _TYPE_NUMBERS[cache_type]
    inputs, context = arena.context(), arena.context()
    caches = [ggml.ggml_new_tensor_2d(inputs, number, max(_CACHE_WIDTHS.values()), _TOKENS) for _ in range(2 * _LAYERS)]
    seen = ggml.ggml_new_tensor_2d(inputs, F16, _TOKENS, 1)
    causal = ggml.ggml_new_tensor_2d(inputs, F16, PREFILL_COLUMNS, PREFILL_COLUMNS)
    queries = {
        (width, group): ggml.ggml_new_tensor_3d(inputs, F32, width, 1, _heads(width) * group)
        for width in HEAD_WIDTHS
        for group in (1, ATTENTION_GROUP)
    }
    batches = {
        width: ggml.ggml_new_tensor_3d(inputs, F32, width, PREFILL_COLUMNS, _heads(width)) for width in HEAD_WIDTHS
    }
    arena.allocate(inputs)
    row_bytes = int(ggml.ggml_row_size(number, max(_CACHE_WIDTHS.values())))
    # Any values do; those of a quantized type are all zero.
    one_row = array("H", [_ONE_HALF]).tobytes() * (row_bytes // 2) if number == F16 else bytes(row_bytes)
    for cache in caches:
        _fill(cache, one_row * _TOKENS)
    _fill(seen, bytes(2 * _TOKENS))
    # A query sees the tokens before it.
    for row in range(PREFILL_COLUMNS):
        line = array("H", [0] * (row + 1) + [_MINUS_INFINITY] * (PREFILL_COLUMNS - row - 1)).tobytes()
        ggml.ggml_backend_tensor_set(causal, line, row * len(line), len(line))
    for (width, group), query in queries.items():
        _fill(query, array("f", [1.0]).tobytes() * (width * _heads(width) * group))
    for width, batch in batches.items():
        _fill(batch, array("f", [1.0]).tobytes() * (width * PREFILL_COLUMNS * _heads(width)))

    def attention(width: int, query: int, key: int, value: int, mask: int, tokens: int) -> int:
        # A layer's cache holds a row a token, one head after another in it.
        of_token, of_head = (int(ggml.ggml_row_size(number, n)) for n in (_CACHE_WIDTHS[width], width))
        views = [
            ggml.ggml_view_3d(context, cache, width, tokens, _heads(width), of_token, of_head, 0)
            for cache in (key, value)
        ]
        return int(ggml.ggml_flash_attn_ext(context, query, *views, mask, width**-0.5, 0.0, 0.0))

    pairs = list(zip(caches[::2], caches[1::2], strict=True))
    for width in HEAD_WIDTHS:
        for group in (1, ATTENTION_GROUP):
            layers = [attention(width, queries[width, group], *pair, seen, _TOKENS) for pair in pairs]
            amount = 2.0 * width * _heads(width) * group * _TOKENS * _LAYERS
            yield attention_name(width, cache_type, group), (arena.graph(context, layers), amount)
        batch = attention(width, batches[width], *pairs[0], causal, PREFILL_COLUMNS)
        amount = width * _heads(width) * float(PREFILL_COLUMNS) ** 2
        yield attention_name(width, cache_type, 0), (arena.graph(context, [batch]), amount)


def _heads(width: int) -> int:
    """KV heads of a cache with heads of this width."""
    return _CACHE_WIDTHS[width] // width


def _fill(tensor: int, data: bytes) -> None:
    bindings().ggml_backend_tensor_set(tensor, data, 0, len(data))
