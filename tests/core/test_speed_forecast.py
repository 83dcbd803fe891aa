"""The arithmetic of a forecast, on figures that can be checked by hand."""

from __future__ import annotations

import msgspec
import pytest

from edgetui.core.calibration import (
    NARROW,
    WIDE,
    AttentionRate,
    Calibration,
    Fingerprint,
    Rate,
    ThreadCalibration,
    TypeRate,
)
from edgetui.core.fit import KvLayer, ModelShape, WeightsRead
from edgetui.core.speed_forecast import (
    LAST_NODES,
    LAYER_ELEMENTS,
    LAYER_NODES,
    LAYER_PRODUCTS,
    MODEL_ERROR,
    Observation,
    corrected,
    decode_cost,
    kv_bytes_read,
    prefill_cost,
    threads_of,
)


def exactly(per_s: float) -> Rate:
    """A rate without spread."""
    return Rate(per_s, per_s, per_s)


def attention(
    *, alone: float = 1e30, grouped: float = 1e30, prefill: float = 1e30, head_width: int = 8, cache_type: str = "F16"
) -> AttentionRate:
    """Attention that costs nothing unless told."""
    return AttentionRate(
        head_width=head_width,
        cache_type=cache_type,
        alone=exactly(alone),
        grouped=exactly(grouped),
        prefill=exactly(prefill),
    )


PART = ThreadCalibration(
    threads=1,
    bandwidth=exactly(1000.0),
    node_s=0.0,
    matmul_node_s=0.0,
    element_s=0.0,
    attention=(attention(),),
    types=(
        TypeRate(type_name="F16", decode=exactly(5000.0), narrow=exactly(5000.0), prefill=exactly(20000.0)),
        TypeRate(type_name="Q4_0", decode=exactly(1000.0), narrow=exactly(1000.0), prefill=exactly(40000.0)),
    ),
)
SHAPE = ModelShape(
    architecture="llama",
    parameter_count=3000,
    layers=(
        KvLayer(kind="full", key_width=8, value_width=8, query_width=16),
        KvLayer(kind="full", key_width=8, value_width=8, query_width=16),
    ),
    embedding_length=10,
    vocabulary_size=100,
    trained_context_tokens=64,
    weights_bytes=3125,
    read_per_token=(WeightsRead("F16", 1000, 2000), WeightsRead("Q4_0", 2000, 1125)),
)


def test_each_type_costs_the_slower_of_reading_and_multiplying() -> None:
    cost = decode_cost(SHAPE, PART, 0, "f16").value
    # F16: 2000 bytes at 1000 a second; Q4_0: 2000 weights at 1000 a second.
    assert cost is not None and cost.seconds == pytest.approx(2.0 + 2.0) and cost.spread == 0


def test_the_cache_is_read_to_the_depth_that_a_layer_sees() -> None:
    assert kv_bytes_read(SHAPE, 5, "f16") == 2 * 5 * 16 * 2
    assert kv_bytes_read(SHAPE, 64, "q8_0") == 2 * 64 * 16 * 34 // 32
    window = KvLayer(kind="window", key_width=8, value_width=8, window_tokens=3)
    state = KvLayer(kind="recurrent", state_bytes=70)
    mixed = msgspec.structs.replace(SHAPE, layers=(window, state))
    assert kv_bytes_read(mixed, 64, "f16") == 3 * 16 * 2 + 70
    fixed = decode_cost(msgspec.structs.replace(SHAPE, layers=(state,)), PART, 5, "f16").value
    assert fixed is not None and fixed.seconds == pytest.approx(4.0 + 0.07)


def test_a_cache_is_fetched_once_for_all_queries_that_share_it_and_multiplied_with_each() -> None:
    # Alone a multiplication takes 10 s, by four 4 s: 2 s of its own and 8 s to fetch.
    rate = attention(alone=0.1, grouped=0.25)
    assert [1 / rate.decode_per_s(group) for group in (1, 2, 4, 8)] == pytest.approx([10, 6, 4, 3])
    # No shape makes it free.
    steep = attention(alone=0.1, grouped=0.4)
    assert 1 / steep.decode_per_s(100) == pytest.approx(1.25)
    layers = tuple(msgspec.structs.replace(layer, queries_per_head=2.0) for layer in SHAPE.layers)
    cost = decode_cost(
        msgspec.structs.replace(SHAPE, layers=layers), msgspec.structs.replace(PART, attention=(rate,)), 5, "f16"
    ).value
    assert cost is not None and cost.seconds == pytest.approx(4.0 + 2 * 2 * 16 * 5 * 6)


def test_attention_is_taken_from_the_nearest_width_of_head_and_the_very_type_of_cache() -> None:
    rates = (attention(head_width=64), attention(head_width=128), attention(head_width=64, cache_type="Q8_0"))
    part = msgspec.structs.replace(PART, attention=rates)
    assert part.attention_rate(80, "F16") is rates[0] and part.attention_rate(96, "F16") is rates[1]
    assert part.attention_rate(576, "F16") is rates[1] and part.attention_rate(128, "Q8_0") is rates[2]
    for found in (decode_cost(SHAPE, part, 5, "q5_1"), prefill_cost(SHAPE, part, 5, 512, "q5_1")):
        assert found.value is None and "KV cache of q5_1" in found.reason


def test_attention_multiplies_every_query_with_what_its_layer_sees() -> None:
    part = msgspec.structs.replace(PART, attention=(attention(alone=100.0, grouped=100.0, prefill=1000.0),))
    deep = decode_cost(SHAPE, part, 5, "f16").value
    # Two layers of 16 query elements, with K and V of 5 tokens, at 100 a second.
    assert deep is not None and deep.seconds == pytest.approx(4.0 + 2 * 2 * 16 * 5 / 100)
    seen = msgspec.structs.replace(SHAPE.layers[0], kind="shared", key_width=0, value_width=0, window_tokens=3)
    shared = decode_cost(msgspec.structs.replace(SHAPE, layers=(seen,)), part, 5, "f16").value
    assert shared is not None and shared.seconds == pytest.approx(4.0 + 2 * 16 * 3 / 100)
    prompt = prefill_cost(SHAPE, part, 100, 512, "f16").value
    assert prompt is not None and prompt.seconds == pytest.approx(7.0 + 2 * 2 * 16 * 100 * 50 / 1000)


def test_nodes_are_counted_by_layer() -> None:
    part = msgspec.structs.replace(PART, node_s=0.5, matmul_node_s=2.0)
    cost = decode_cost(SHAPE, part, 0, "f16").value
    nodes = 2.0 * (2 * LAYER_PRODUCTS + 1) + 0.5 * (2 * (LAYER_NODES + 1) + LAST_NODES)
    assert cost is not None and cost.seconds == pytest.approx(4.0 + nodes)


def test_a_prompt_goes_through_the_output_once() -> None:
    cost = prefill_cost(SHAPE, PART, 100, 512, "f16").value
    # The output's 1000 weights are the F16 ones: once, at the reading's pace; Q4_0: 2000 * 100 at 40000 a second.
    assert cost is not None and cost.seconds == pytest.approx(2.0 + 5.0)


def test_narrow_rows_cost_more() -> None:
    rate = TypeRate(type_name="F16", decode=exactly(4000.0), narrow=exactly(2000.0), prefill=exactly(1.0))
    assert rate.decode_per_s(NARROW) == pytest.approx(2000.0) and rate.decode_per_s(WIDE) == pytest.approx(4000.0)
    # Half way between 1/512 and 1/2048 the seconds are half way too.
    between = 1 / ((1 / NARROW + 1 / WIDE) / 2)
    assert rate.decode_per_s(round(between)) == pytest.approx(1 / ((1 / 2000 + 1 / 4000) / 2), rel=0.001)


def test_small_batches_read_the_weights_again_and_again() -> None:
    cost = prefill_cost(SHAPE, PART, 100, 1, "f16").value
    assert cost is not None and cost.seconds == pytest.approx(2.0 + 100 * 2.0)


def test_a_batch_passes_its_elements() -> None:
    part = msgspec.structs.replace(PART, element_s=0.001)
    cost = prefill_cost(SHAPE, part, 100, 512, "f16").value
    assert cost is not None and cost.seconds == pytest.approx(7.0 + 100 * 2 * LAYER_ELEMENTS * 10 * 0.001)


def test_a_type_that_was_not_calibrated_leaves_no_figure_but_a_reason() -> None:
    odd = msgspec.structs.replace(SHAPE, read_per_token=(WeightsRead("IQ2_XS", 10, 3), WeightsRead("F32", 10, 40)))
    for found in (decode_cost(odd, PART, 0, "f16"), prefill_cost(odd, PART, 10, 512, "f16")):
        assert found.value is None and found.reason == "the calibration does not measure IQ2_XS"


def test_spreads_are_weighed_by_the_time_they_concern() -> None:
    types = (
        TypeRate(
            type_name="F16",
            decode=Rate(5000.0, 4500.0, 5500.0),
            narrow=Rate(5000.0, 4500.0, 5500.0),
            prefill=exactly(1.0),
        ),
        TypeRate(
            type_name="Q4_0",
            decode=Rate(1000.0, 700.0, 1300.0),
            narrow=Rate(1000.0, 700.0, 1300.0),
            prefill=exactly(1.0),
        ),
    )
    cost = decode_cost(SHAPE, msgspec.structs.replace(PART, types=types), 0, "f16").value
    assert cost is not None and cost.spread == pytest.approx((2.0 * 0.1 + 2.0 * 0.3) / 4.0)


def test_measurements_pull_a_forecast_towards_them_and_narrow_it() -> None:
    alone = corrected("tg", 100.0, 0.0, ())
    assert (alone.tps, alone.high) == (100.0, 100.0 * (1 + MODEL_ERROR["tg"]))
    row = Observation(test="tg", measured_tps=81.0, predicted_tps=100.0)
    other = Observation(test="pp", measured_tps=1.0, predicted_tps=100.0)
    once = corrected("tg", 100.0, 0.0, (row, other))
    # One row against a prior of one: half way on the scale of logarithms.
    assert once.tps == pytest.approx(90.0)
    many = corrected("tg", 100.0, 0.0, (row,) * 99)
    assert many.tps == pytest.approx(81.0, rel=0.01)
    widths = [estimate.high / estimate.tps for estimate in (alone, once, many)]
    assert widths == sorted(widths, reverse=True) and widths[2] == pytest.approx(1 + MODEL_ERROR["tg"] / 10)


def test_threads_that_were_not_measured_have_no_forecast() -> None:
    two = msgspec.structs.replace(PART, threads=2)
    made = Calibration(
        measured_at=0.0, duration_s=1.0, buffer_bytes=1, rounds=3, engine_version="1", threads=(PART, two)
    )
    assert threads_of(made, 0).value == two and threads_of(made, 1).value == PART
    assert threads_of(made, 3).reason == "the calibration measured 1, 2 threads, not 3"


def test_a_fingerprint_names_what_has_changed() -> None:
    first = Fingerprint(processor="a", physical_cores="2", memory="1", engine="x 1", features="AVX2")
    assert first.difference(first) == ""
    second = msgspec.structs.replace(first, engine="x 2")
    assert first.difference(second) == "engine was x 1, now is x 2"


def test_a_rate_keeps_median_and_the_middle_of_its_samples() -> None:
    rate = Rate.of([float(value) for value in range(1, 12)])
    assert rate == Rate(6.0, 2.0, 10.0) and rate.spread == pytest.approx(8 / 12)
