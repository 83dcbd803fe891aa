"""The arithmetic of rows, held against the same in 64 bits and one value at a time."""

from __future__ import annotations

import math
from typing import Any

import numpy
import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.engines.quality import rows as of_rows
from edgetui.engines.quality.rows import Rows, top_tokens
from edgetui.formats.base_logits import BaseLogitsShape

VOCABULARY = 301
SHAPE = BaseLogitsShape(context_tokens=64, vocabulary_size=VOCABULARY, chunk_count=1)
COUNT = SHAPE.rows_per_chunk


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> Rows:
    """Two threads over blocks of seven rows, so that parts have to be put together."""
    monkeypatch.setattr(of_rows, "BLOCK_BYTES", 7 * 4 * VOCABULARY)
    return Rows("model", 2)


def logits(seed: int, spread: float = 4.0) -> Any:
    return (numpy.random.default_rng(seed).standard_normal((COUNT, VOCABULARY)) * spread).astype(numpy.float32)


def targets(seed: int = 3) -> list[int]:
    found: list[int] = numpy.random.default_rng(seed).integers(0, VOCABULARY, COUNT).tolist()
    return found


def exact(of: Any) -> Any:
    wide = of.astype(numpy.float64)
    return wide - numpy.log(numpy.exp(wide).sum(axis=1, keepdims=True))


def floored(log_probabilities: Any) -> list[float]:
    """Of the targets, no lower than a baseline tells."""
    least = log_probabilities.max(axis=1) - 16
    return [-max(log_probabilities[row, token], least[row]) for row, token in enumerate(targets())]


def test_likelihoods_are_those_of_a_softmax(rows: Rows) -> None:
    found = rows.negative_log_likelihoods(logits(1), targets())
    expected = [-exact(logits(1))[row, token] for row, token in enumerate(targets())]
    assert found.tolist() == pytest.approx(expected, rel=1e-5)


def test_a_baseline_holds_log_probabilities_to_a_65535th_of_their_span(rows: Rows) -> None:
    nll, encoded = rows.encode(logits(1, spread=1.0), targets(), SHAPE.row_words)
    assert encoded.shape == (COUNT, 302 + 4)
    header = numpy.ascontiguousarray(encoded[:, :4]).view(numpy.float32)
    decoded = encoded[:, 4 : 4 + VOCABULARY] * header[:, :1] + header[:, 1:]
    assert abs(decoded - exact(logits(1, spread=1.0))).max() < 1e-4
    assert nll.tolist() == rows.negative_log_likelihoods(logits(1, spread=1.0), targets()).tolist()


def test_what_is_16_below_the_likeliest_is_no_lower_in_a_baseline(rows: Rows) -> None:
    wide = logits(1, spread=10.0)
    _, encoded = rows.encode(wide, targets(), SHAPE.row_words)
    header = numpy.ascontiguousarray(encoded[:, :4]).view(numpy.float32)
    assert header[:, 0] * 65535 == pytest.approx(16.0, rel=1e-5)
    assert (encoded[:, 4 : 4 + VOCABULARY][wide < wide.max(axis=1, keepdims=True) - 16] == 0).all()


def test_a_divergence_is_that_of_the_definition(rows: Rows) -> None:
    parent, model = logits(1), logits(1) + logits(2, spread=0.3)
    _, encoded = rows.encode(parent, targets(), SHAPE.row_words)
    found = rows.compare(model, encoded, targets())
    p, q = exact(parent), exact(model)
    counted = numpy.where(p > -16, numpy.exp(p) * (p - q), 0).sum(axis=1)
    assert found.kld.tolist() == pytest.approx(counted.tolist(), abs=2e-4)
    assert found.base_nll.tolist() == pytest.approx(floored(p), abs=2e-4)
    assert found.same_top1.tolist() == (p.argmax(axis=1) == q.argmax(axis=1)).astype(float).tolist()
    for row in range(COUNT):
        words = encoded[row, 4 : 4 + VOCABULARY].astype(int)
        own, others = set(numpy.argsort(-q[row])[:5]), set(numpy.argsort(-words, kind="stable")[:5])
        assert found.same_top5[row] == pytest.approx(len(own & others) / 5)


def test_a_model_does_not_diverge_from_itself(rows: Rows) -> None:
    _, encoded = rows.encode(logits(1), targets(), SHAPE.row_words)
    found = rows.compare(logits(1), encoded, targets())
    assert abs(found.kld).max() < 1e-4 and found.same_top1.all()
    assert found.base_nll.tolist() == pytest.approx(floored(exact(logits(1))), abs=2e-4)


def test_blocks_and_threads_change_nothing(rows: Rows) -> None:
    whole = Rows("model", 1)
    whole_blocks = whole.negative_log_likelihoods(logits(5), targets())
    assert rows.negative_log_likelihoods(logits(5), targets()).tolist() == whole_blocks.tolist()


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_logits_that_are_no_numbers_are_told_with_the_models_name(rows: Rows, value: float) -> None:
    broken = logits(1)
    broken[20, 100] = value
    _, encoded = rows.encode(logits(1), targets(), SHAPE.row_words)
    for measure in (
        lambda: rows.negative_log_likelihoods(broken, targets()),
        lambda: rows.encode(broken, targets(), SHAPE.row_words),
        lambda: rows.compare(broken, encoded, targets()),
    ):
        with pytest.raises(EdgetuiError, match="logits of model are no numbers") as caught:
            measure()
        assert caught.value.failure.kind == "bad_file"


def test_a_token_that_is_impossible_to_both_is_no_difference(rows: Rows) -> None:
    masked = logits(1)
    masked[:, 7] = -math.inf
    wanted = [token if token != 7 else 8 for token in targets()]
    _, encoded = rows.encode(masked, wanted, SHAPE.row_words)
    assert abs(rows.compare(masked, encoded, wanted).kld).max() < 1e-4


def test_columns_that_only_the_parent_has_are_left_out(rows: Rows) -> None:
    parent = logits(1)
    parent[:, 290:] = -30
    wanted = [token % 290 for token in targets()]
    _, encoded = rows.encode(parent, wanted, SHAPE.row_words)
    found = rows.compare(parent[:, :290], encoded, wanted)
    assert abs(found.kld).max() < 1e-3 and found.same_top1.all()


def test_the_largest_come_in_order_and_the_first_of_equals_first() -> None:
    values = numpy.array([[3, 9, 9, 1, 0, 4]], dtype=numpy.uint16)
    assert top_tokens(values, 4, values.copy()).tolist() == [[1, 2, 5, 0]]
