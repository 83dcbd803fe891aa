"""From single tokens to the figures of a row."""

from __future__ import annotations

import math
import random

import pytest

from edgetui.core.quality import TaskScore
from edgetui.core.quality_math import divergence, mean_estimate, perplexity


def test_a_mean_has_the_error_that_llama_perplexity_tells() -> None:
    values = [float(value) for value in range(1, 13)]
    # Mean 6.5, mean of squares 54.17: (54.17 - 42.25) / 11, then the root.
    assert mean_estimate(values).value == 6.5
    assert mean_estimate(values).error == pytest.approx(math.sqrt((650 / 12 - 6.5**2) / 11))
    assert mean_estimate(values[:10]).error == 0.0, "over so few tokens llama-perplexity tells none"


def test_perplexity_is_the_inverse_geometric_mean_of_probabilities() -> None:
    nll = [-math.log(probability) for probability in (0.5, 0.25) * 10]
    found = perplexity(nll)
    assert found.value == pytest.approx(math.sqrt(8))
    assert found.error == pytest.approx(found.value * mean_estimate(nll).error)


def test_a_model_that_knows_nothing_has_a_figure_that_a_file_can_hold() -> None:
    assert math.isfinite(perplexity([5000.0] * 20).value)


def test_a_model_beside_itself_differs_in_nothing() -> None:
    nll = [random.Random(1).random() * 5 for _ in range(200)]
    found = divergence(nll=nll, base_nll=nll, kld=[0.0] * 200, same_top1=[1.0] * 200, same_top5=[1.0] * 200)
    assert found.ln_perplexity_ratio.value == 0 and found.ln_perplexity_ratio.error == pytest.approx(0, abs=1e-9)
    assert (found.rms_dp.value, found.rms_dp.error, found.mean_dp.value) == (0, 0, 0)
    assert (found.same_top1.value, found.same_top1.error, found.maximum) == (1, 0, 0)


def test_the_error_of_a_ratio_counts_that_both_models_find_the_same_tokens_hard() -> None:
    source = random.Random(2)
    base = [source.random() * 5 for _ in range(400)]
    nll = [value + 0.1 * source.random() for value in base]
    found = divergence(nll=nll, base_nll=base, kld=[0.1] * 400, same_top1=[1.0] * 400, same_top5=[0.8] * 400)
    # The error of the paired differences, which is far below that of either perplexity.
    paired = mean_estimate([own - other for own, other in zip(nll, base, strict=True)])
    assert found.ln_perplexity_ratio.value == pytest.approx(paired.value)
    assert found.ln_perplexity_ratio.error == pytest.approx(paired.error, rel=1e-6)
    assert paired.error < mean_estimate(nll).error / 10


def test_changes_of_probability_are_of_the_right_token() -> None:
    nll, base = [-math.log(0.5)] * 12, [-math.log(0.25)] * 12
    found = divergence(nll=nll, base_nll=base, kld=[0.1] * 12, same_top1=[0.0] * 12, same_top5=[0.2] * 12)
    assert found.mean_dp.value == pytest.approx(0.25) and found.rms_dp.value == pytest.approx(0.25)


def test_a_score_has_an_interval_that_is_no_point_at_its_ends() -> None:
    nothing, half = TaskScore(kind="a", right=0, asked=24).interval, TaskScore(kind="a", right=12, asked=24)
    assert nothing.low == 0 and 0.1 < nothing.high < 0.2
    assert half.share == 0.5 and half.interval.low == pytest.approx(1 - half.interval.high)
