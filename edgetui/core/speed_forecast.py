"""Predicted prefill and decode rates: arithmetic on a model's shape, a calibration, and what was measured before.

Nothing here is fitted to a model. What a token costs:

- weights of each ggml type: `max(bytes / bandwidth, weights / throughput)`, both calibrated (the roofline model of
  Williams, Waterman and Patterson, CACM 52(4), 2009);
- attention: two products, of query with K and of scores with V, over the tokens before, at a throughput calibrated for
  the width of a head, the type of the KV cache and how many query heads share one KV head;
- the graph's nodes: counted in llama.cpp's graph of a LLaMA-like layer (src/models/llama.cpp), at the
  calibrated cost of a node, and in a batch of an element.

The uncertainty is the calibration's spread together with `MODEL_ERROR`; both shrink as measurements come.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import msgspec

from edgetui.core.fit import WeightsRead
from edgetui.core.ggml import TENSOR_TYPES
from edgetui.core.hardware import Reading, known, unknown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetui.core.calibration import Calibration, ThreadCalibration
    from edgetui.core.fit import KvLayer, ModelShape

PROMPT_TOKENS = 512
"""Prefill is predicted for a prompt of so many tokens from an empty cache: llama-bench's pp512."""
LAYER_PRODUCTS = 7
"""Q, K, V, output of attention; gate, up and down of the feed-forward part."""
LAYER_NODES = 12
"""Two norms of two nodes, two rotations, two writes of the cache, the activation, two sums; attention beside them."""
LAST_NODES = 4
"""Look-up of the embedding, last norm, copy of the logits."""
LAYER_ELEMENTS = 12
"""Passes over a vector of the embedding's length in one layer; the wider feed-forward vector counts as three."""
MODEL_ERROR = {"tg": 0.15, "pp": 0.25}
"""How far arithmetic may be off before anything was measured: the bars that benchmarks/forecast_error.py checks."""
PRIOR_ROWS = 1.0
"""The prediction weighs as much as so many measurements (shrinkage towards a correction of 1)."""
_FLOATS = frozenset({"F32"})
"""Weights that are not multiplied in products, such as norms: only their bytes count."""


class Cost(msgspec.Struct, frozen=True):
    """Predicted seconds of one test, and how uncertain the calibration leaves them."""

    seconds: float
    spread: float
    """Share of `seconds`."""


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """A measurement of this machine beside what is predicted for it."""

    test: Literal["pp", "tg"]
    measured_tps: float
    predicted_tps: float


class Estimate(msgspec.Struct, frozen=True):
    """A rate with its interval."""

    tps: float
    low: float
    high: float


def kv_bytes_read(shape: ModelShape, depth: int, kv_cache_type: str) -> int:
    """Bytes of the KV cache that one token at this depth reads: `tokens * (key + value width) * element`.

    A window keeps no more than its tokens; a recurrent layer reads its state.
    """
    element = _bytes_a_weight(kv_cache_type.upper())
    total = 0.0
    for layer in shape.layers:
        seen = min(depth, layer.window_tokens) if layer.kind == "window" else depth
        total += (
            layer.state_bytes
            + (0 if layer.kind == "recurrent" else seen) * (layer.key_width + layer.value_width) * element
        )
    return int(total)


def decode_cost(shape: ModelShape, part: ThreadCalibration, depth: int, kv_cache_type: str) -> Reading[Cost]:
    """Seconds for one token after `depth` others."""
    missing = _missing(shape, part, kv_cache_type)
    if missing:
        return unknown(missing)
    width = shape.embedding_length
    weights = [_weights_cost(read, part, width) for read in shape.read_per_token]
    states_s = sum(layer.state_bytes for layer in shape.layers) / part.bandwidth.per_s
    attention = [Cost(states_s, part.bandwidth.spread)]
    for layer in _attending(shape):
        rate = part.attention_rate(layer.head_width, kv_cache_type.upper())
        assert rate is not None
        macs = 2 * layer.query_width * _seen(layer, depth)
        seconds = macs / rate.decode_per_s(layer.queries_per_head)
        attention.append(Cost(seconds, max(rate.alone.spread, rate.grouped.spread)))
    return known(_sum([*weights, *attention, Cost(_nodes_cost(shape, part), part.nodes_spread)]))


def prefill_cost(
    shape: ModelShape, part: ThreadCalibration, tokens: int, batch_tokens: int, kv_cache_type: str
) -> Reading[Cost]:
    """Seconds for a whole prompt of `tokens` from an empty cache, in batches of `batch_tokens`.

    The output layer is computed for the last token only.
    """
    missing = _missing(shape, part, kv_cache_type)
    if missing:
        return unknown(missing)
    width = shape.embedding_length
    batches = -(-tokens // max(1, batch_tokens))
    reads, output = _without_output(shape)
    weights = [
        Cost(max(batches * one.seconds, many.seconds), many.spread)
        for read in reads
        for one, many in [(_weights_cost(read, part, width), _weights_cost(read, part, width, columns=tokens))]
    ]
    last = _weights_cost(output, part, width) if output else Cost(0.0, 0.0)
    # Each token sees on average half of the prompt; a window at most its own tokens.
    attention = []
    for layer in _attending(shape):
        rate = part.attention_rate(layer.head_width, kv_cache_type.upper())
        assert rate is not None
        macs = 2 * layer.query_width * tokens * min(tokens / 2, _seen(layer, tokens))
        attention.append(Cost(macs / rate.prefill.per_s, rate.prefill.spread))
    rest = batches * _nodes_cost(shape, part) + tokens * _elements_cost(shape, part)
    return known(_sum([*weights, last, *attention, Cost(rest, part.nodes_spread)]))


def corrected(
    test: Literal["pp", "tg"], predicted_tps: float, spread: float, observations: Sequence[Observation]
) -> Estimate:
    """The prediction times what measurements say of predictions, and an interval that narrows as they come.

    With n logarithms of measured over predicted, the correction is `exp(sum / (n + PRIOR_ROWS))` and the model's error
    shrinks by `sqrt(PRIOR_ROWS / (n + PRIOR_ROWS))`, the posterior of a normal mean whose prior has the variance of
    one row (Gelman et al., Bayesian Data Analysis, 3rd ed., 2.5).
    """
    logs = [
        math.log(row.measured_tps / row.predicted_tps)
        for row in observations
        if row.test == test and row.measured_tps > 0 and row.predicted_tps > 0
    ]
    weight = len(logs) + PRIOR_ROWS
    tps = predicted_tps * math.exp(math.fsum(logs) / weight)
    error = math.hypot(spread, MODEL_ERROR[test] * math.sqrt(PRIOR_ROWS / weight))
    return Estimate(tps, tps / (1 + error), tps * (1 + error))


def threads_of(calibration: Calibration, threads: int) -> Reading[ThreadCalibration]:
    """The calibration for a number of threads; 0 takes the most that were measured."""
    count = threads or max(part.threads for part in calibration.threads)
    part = calibration.with_threads(count)
    if part is None:
        measured = ", ".join(str(entry.threads) for entry in calibration.threads)
        return unknown(f"the calibration measured {measured} threads, not {count}")
    return known(part)


def _weights_cost(read: WeightsRead, part: ThreadCalibration, width: int, *, columns: int = 1) -> Cost:
    """Weights of one type, in rows of this width, times so many columns."""
    bytes_s = read.size_bytes / part.bandwidth.per_s
    rate = part.type_rate(read.type_name)
    if rate is None:
        return Cost(bytes_s, part.bandwidth.spread)
    if columns == 1:
        return Cost(max(bytes_s, read.weights / rate.decode_per_s(width)), rate.decode.spread)
    return Cost(read.weights * columns / rate.prefill.per_s, rate.prefill.spread)


def _without_output(shape: ModelShape) -> tuple[list[WeightsRead], WeightsRead | None]:
    """What every token of a prompt goes through, and the output layer, which only the last one does.

    The output is taken from the widest type that holds as many weights: llama.cpp keeps it wide.
    """
    count = shape.vocabulary_size * shape.embedding_length
    holders = [read for read in shape.read_per_token if read.weights >= count and read.type_name not in _FLOATS]
    if not count or not holders:
        return list(shape.read_per_token), None
    holder = max(holders, key=lambda read: read.size_bytes / read.weights)
    size = round(holder.size_bytes * count / holder.weights)
    output = WeightsRead(holder.type_name, count, size)
    rest = WeightsRead(holder.type_name, holder.weights - count, holder.size_bytes - size)
    return [rest if read is holder else read for read in shape.read_per_token], output


def _nodes_cost(shape: ModelShape, part: ThreadCalibration) -> float:
    """Dispatch and barriers of one graph."""
    count = len(shape.layers)
    products = count * LAYER_PRODUCTS + 1
    return products * part.matmul_node_s + (count * (LAYER_NODES + 1) + LAST_NODES) * part.node_s


def _elements_cost(shape: ModelShape, part: ThreadCalibration) -> float:
    """Everything of one token that is not a product."""
    return len(shape.layers) * LAYER_ELEMENTS * shape.embedding_length * part.element_s


def _seen(layer: KvLayer, depth: int) -> int:
    if layer.kind == "recurrent":
        return 0
    return min(depth, layer.window_tokens) if layer.window_tokens else depth


def _attending(shape: ModelShape) -> list[KvLayer]:
    return [layer for layer in shape.layers if layer.kind != "recurrent" and layer.query_width]


def _missing(shape: ModelShape, part: ThreadCalibration, kv_cache_type: str) -> str:
    """Why nothing can be said of a model."""
    unmeasured = [
        read.type_name
        for read in shape.read_per_token
        if read.type_name not in _FLOATS and read.weights and part.type_rate(read.type_name) is None
    ]
    if unmeasured:
        return f"the calibration does not measure {', '.join(unmeasured)}"
    if _attending(shape) and part.attention_rate(1, kv_cache_type.upper()) is None:
        return f"the calibration does not measure a KV cache of {kv_cache_type}"
    return "" if shape.read_per_token else "the file does not tell what a token goes through"


def _sum(costs: Sequence[Cost]) -> Cost:
    """One after another; their spreads come from one machine at one time and add up whole."""
    seconds = math.fsum(cost.seconds for cost in costs)
    return Cost(seconds, math.fsum(cost.seconds * cost.spread for cost in costs) / seconds)


def _bytes_a_weight(type_name: str) -> float:
    kind = next((kind for kind in TENSOR_TYPES.values() if kind.name == type_name), TENSOR_TYPES[1])
    return kind.block_bytes / kind.block_elements
