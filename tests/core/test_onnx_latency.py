"""Sizes of inputs as a person writes them and as exporters name them, and what a comparison says."""

from __future__ import annotations

import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.core.onnx_latency import (
    FedInput,
    GraphValue,
    OnnxLatencyRow,
    OnnxRunSettings,
    compare,
    extents_of,
    names_in,
    parse_sizes,
    with_free_dimensions,
)
from edgetui.core.onnx_latency_text import compared, fed


@pytest.mark.parametrize(
    ("shape", "sizes", "extents"),
    [
        (("batch_size", "sequence_length"), "", (1, 128)),
        (("batch_size", "sequence_length"), "batch_size=4, sequence_length=7", (4, 7)),
        (("batch", "past_sequence_length + sequence_length"), "", (1, 128)),
        (("batch", "past_sequence_length + sequence_length"), "past_sequence_length=5;sequence_length=1", (1, 6)),
        (("batch", "past_sequence_length + 1"), "past_sequence_length=9", (1, 10)),
        (("batch_size", "total_sequence_length"), "", (1, 128)),
        (("batch_size", "total_sequence_length"), "sequence_length=3, past_sequence_length=4", (1, 7)),
        (("batch_size", 3, "past_sequence_length", 64), "", (1, 3, 0, 64)),
        (("N", "C", "H", "W"), "", (1, 3, 224, 224)),
        (("?", "?", "?", "?"), "", (1, 3, 224, 224)),
        (("?", 80, "frames"), "", (1, 80, 1)),
        (("batch", 4), "x=6x4", (6, 4)),
        ((), "", ()),
    ],
)
def test_free_dimensions_get_what_is_asked_or_usual(
    shape: tuple[int | str, ...], sizes: str, extents: tuple[int, ...]
) -> None:
    assert extents_of(GraphValue("x", "float32", shape), parse_sizes(sizes)) == extents


@pytest.mark.parametrize("text", ["batch", "batch=", "batch=-1", "=3", "x=1x", "batch=two"])
def test_what_is_no_size_is_one_sentence(text: str) -> None:
    with pytest.raises(EdgetuiError, match="is no size"):
        parse_sizes(text)


@pytest.mark.parametrize("sizes", ["x=6x5", "x=6", "x=1x6x4", "batch=2x3"])
def test_extents_that_the_graph_does_not_take_are_refused(sizes: str) -> None:
    with pytest.raises(EdgetuiError):
        extents_of(GraphValue("x", "float32", ("batch", 4)), parse_sizes(sizes))


def test_every_name_that_a_size_may_have_is_known() -> None:
    values = (GraphValue("x", "int64", ("batch", "past + 1", "?")), GraphValue("mask", "int64", ("batch", 4)))
    assert names_in(values) == {"x", "mask", "batch", "past"}


def row(*samples_ns: int, name: str = "a", **settings: object) -> OnnxLatencyRow:
    return OnnxLatencyRow(
        model_name=name,
        model_path="",
        model_fingerprint="",
        model_size_bytes=1,
        quant_type="",
        settings=OnnxRunSettings(**settings),  # type: ignore[arg-type]
        inputs=tuple(FedInput(f"past.{layer}.key", "float32", (1, 0), "zeros") for layer in range(3)),
        outputs=(),
        provider="CPU",
        remarks=(),
        engine_version="1",
        environment="",
        threads=1,
        load_s=0.1,
        first_run_ns=None,
        samples_ns=samples_ns,
        memory_bytes=None,
        others_share=None,
        measured_at=0.0,
    )


def test_percentiles_and_throughput_are_of_all_runs() -> None:
    measured = row(*(number * 1_000_000 for number in range(1, 102)))
    assert [measured.percentile_ms(share) for share in (0, 0.5, 0.9, 0.99, 1)] == [1, 51, 91, 100, 101]
    assert measured.mean_ms == 51 and measured.runs_per_s == pytest.approx(1000 / 51)


def test_a_comparison_says_how_much_faster_and_what_differs() -> None:
    fast, slow = row(*[1_000_000, 1_010_000, 990_000] * 5), row(*[2_000_000, 2_020_000, 1_980_000] * 5, name="b")
    found = compare(fast, slow)
    assert found.ratio is not None and found.ratio.ratio == pytest.approx(2) and found.ratio.is_shown
    assert found.differences == ("model a against b",)
    words = dict(compared(found, fast, slow))
    assert "the first is faster" in words["Speed of the first"]
    assert "no difference is shown" in dict(compared(compare(fast, fast), fast, fast))["Speed of the first"]


def test_inputs_of_many_layers_are_told_once() -> None:
    assert fed(row(1)) == "past.N.key (3) 1x0"


def test_extents_asked_for_one_input_hold_for_the_dimensions_that_others_share() -> None:
    ids = GraphValue("input_ids", "int64", ("batch_size", "sequence_length"))
    mask = GraphValue("attention_mask", "int64", ("batch_size", "total_sequence_length"))
    sizes = with_free_dimensions((ids, mask), parse_sizes("input_ids=2x16"))
    assert extents_of(ids, sizes) == extents_of(mask, sizes) == (2, 16)
    assert with_free_dimensions((ids,), parse_sizes("input_ids=2x16, batch_size=3"))["batch_size"] == (3,)
