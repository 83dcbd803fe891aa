from __future__ import annotations

import re

from edgetui.core.models import TensorItem
from edgetui.core.tensor_errors import (
    TensorError,
    TensorRow,
    exact_pattern,
    format_relative,
    matches,
    sorted_rows,
    summary,
    tensor_rows,
)

ITEMS = (
    TensorItem("output_norm.weight", "F32", (8,), 32),
    TensorItem("blk.0.ffn_up.weight", "Q4_K", (256, 4), 576),
    TensorItem("blk.10.ffn_up.weight", "Q4_K", (256, 4), 576),
    TensorItem("blk.1.attn_q.weight", "Q8_0", (256, 2), 544),
)
ERRORS = (
    TensorError(tensor="blk.0.ffn_up.weight", type_name="Q4_K", rmse=0.1, relative=0.05, max_abs=0.4),
    TensorError(tensor="blk.10.ffn_up.weight", type_name="Q4_K", not_finite=3),
    TensorError(tensor="blk.1.attn_q.weight", type_name="Q8_0", rmse=0.2, relative=0.01, max_abs=0.3),
)


def rows() -> list[TensorRow]:
    return tensor_rows(ITEMS, ERRORS, ((exact_pattern("blk.1.attn_q.weight"), "Q6_K"),))


def test_a_sort_by_error_puts_nan_first_and_what_has_no_error_last() -> None:
    assert [row.item.name for row in sorted_rows(rows(), "relative")] == [
        "blk.10.ffn_up.weight",
        "blk.0.ffn_up.weight",
        "blk.1.attn_q.weight",
        "output_norm.weight",
    ]
    assert [row.item.name for row in sorted_rows(rows(), "rmse")][1] == "blk.1.attn_q.weight"


def test_other_columns_sort_as_their_kind_does() -> None:
    assert [row.order for row in sorted_rows(rows(), "bytes")] == [1, 2, 3, 0]
    assert [row.order for row in sorted_rows(rows(), "name")] == [1, 3, 2, 0]
    assert sorted_rows(rows(), "override")[0].item.name == "blk.1.attn_q.weight"
    assert sorted_rows(sorted_rows(rows(), "name"), "order") == rows()


def test_a_filter_takes_names_types_shapes_wanted_types_and_nan() -> None:
    def found(*words: str) -> list[int]:
        return [row.order for row in rows() if matches(row, words)]

    assert found("ffn") == [1, 2] and found("ffn", "blk.10") == [2]
    assert found("q8_0") == [3] and found("256x2") == [3] and found("q6_k") == [3] and found("nan") == [2]


def test_a_pattern_finds_its_own_tensor_and_no_other() -> None:
    names = [*(item.name for item in ITEMS), "xblk.0.ffn_up.weight", "blk.0.ffn_up.weights", "blk.0xffn_up.weight"]
    for name in names:
        assert [other for other in names if re.search(exact_pattern(name), other)] == [name]


def test_weights_that_are_no_numbers_are_shown_as_such() -> None:
    assert format_relative(ERRORS[1]) == "NaN" and format_relative(ERRORS[0]) == "5 %" and format_relative(None) == "-"
    assert "NaN in 1" in summary(rows(), 4, "order") and summary(rows(), 2, "order").startswith("2 of 4 tensors")
