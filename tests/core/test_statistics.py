from __future__ import annotations

import math
import random
import statistics

import pytest

from edgetui.core.statistics import (
    Interval,
    bootstrap_ratio,
    interval_share,
    mean,
    median,
    median_deviation,
    outliers,
    percentile,
    ratio_of_means,
    ratio_to_means,
    standard_deviation,
    student_t,
    wilson_interval,
)

VALUES = [112.4, 111.0, 113.9, 110.2, 112.5]


def test_mean_and_deviation_are_the_textbook_ones() -> None:
    assert mean(VALUES) == pytest.approx(statistics.fmean(VALUES))
    assert standard_deviation(VALUES) == pytest.approx(statistics.stdev(VALUES))


def test_the_deviation_is_the_one_that_llama_bench_prints() -> None:
    # Its own formula (tools/llama-bench/llama-bench.cpp, stdev), with the sum of squares taken first.
    n, centre = len(VALUES), sum(VALUES) / len(VALUES)
    theirs = math.sqrt(sum(value * value for value in VALUES) / (n - 1) - centre * centre * n / (n - 1))
    assert standard_deviation(VALUES) == pytest.approx(theirs, rel=1e-6)


def test_one_value_has_no_deviation() -> None:
    assert standard_deviation([1.0]) is None


def test_percentiles_are_linear_between_neighbours() -> None:
    assert percentile([1, 2, 3, 4], 0.5) == 2.5
    assert percentile([4, 1, 3, 2], 0) == 1 and percentile([1, 2, 3, 4], 1) == 4
    assert percentile([10.0], 0.99) == 10
    assert median([3, 1, 2]) == 2


def test_no_values_are_an_error_not_zero() -> None:
    with pytest.raises(ValueError, match="no values"):
        mean([])
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)


def test_a_clear_difference_is_shown_and_lies_in_its_interval() -> None:
    ratio = ratio_of_means([120, 121, 119, 120], [100, 101, 99, 100])
    assert ratio is not None and ratio.is_shown
    assert ratio.low < ratio.ratio < ratio.high
    assert ratio.ratio == pytest.approx(1.2)


def test_samples_that_overlap_show_no_difference() -> None:
    ratio = ratio_of_means([100, 120, 90, 110], [105, 95, 115, 100])
    assert ratio is not None and not ratio.is_shown


def test_the_same_samples_give_the_same_interval() -> None:
    assert ratio_of_means(VALUES, VALUES[::-1]) == ratio_of_means(VALUES, VALUES[::-1])


@pytest.mark.parametrize(
    ("freedom", "t"), [(1, 12.7062), (2, 4.30265), (4, 2.77645), (8, 2.30600), (30, 2.04227), (100, 1.98397)]
)
def test_student_t_is_the_one_of_the_tables(freedom: float, t: float) -> None:
    assert student_t(freedom) == pytest.approx(t, rel=1e-5)


@pytest.mark.parametrize("repetitions", [2, 3, 5])
def test_two_measurements_of_the_same_model_seldom_show_a_difference(repetitions: int) -> None:
    draw = random.Random(repetitions)

    def rates() -> list[float]:
        return [draw.gauss(100, 2) for _ in range(repetitions)]

    ratios = [ratio_of_means(rates(), rates()) for _ in range(300)]
    assert sum(ratio is not None and ratio.is_shown for ratio in ratios) <= 0.08 * len(ratios)


def test_a_true_difference_of_a_tenth_is_found_in_five_repetitions() -> None:
    draw = random.Random(5)
    pairs = [
        ratio_of_means([draw.gauss(110, 2) for _ in range(5)], [draw.gauss(100, 2) for _ in range(5)])
        for _ in range(100)
    ]
    assert all(ratio is not None and ratio.is_shown for ratio in pairs)
    assert sum(ratio is not None and ratio.low <= 1.1 <= ratio.high for ratio in pairs) >= 88


def test_samples_without_any_spread_give_an_exact_ratio() -> None:
    ratio = ratio_of_means([120.0, 120.0], [100.0, 100.0])
    assert ratio is not None and (ratio.low, ratio.ratio, ratio.high) == (1.2, 1.2, 1.2)


@pytest.mark.parametrize(("a", "b"), [([1.0], [1.0, 2.0]), ([1.0, 2.0], []), ([0.0, 1.0], [1.0, 2.0])])
def test_too_little_to_compare_gives_nothing(a: list[float], b: list[float]) -> None:
    assert ratio_of_means(a, b) is None


def test_a_further_mean_is_held_against_the_prediction_interval_of_those_before() -> None:
    means = [100.0, 102.0, 98.0]
    ratio = ratio_to_means([90.0, 90.0], means)
    assert ratio is not None and ratio.ratio == pytest.approx(0.9)
    # t(2) * sd * sqrt(1 + 1/3) over the mean; equal values add nothing.
    assert math.log(ratio.high / ratio.ratio) == pytest.approx(4.30265 * 0.02 * math.sqrt(4 / 3), rel=1e-4)
    wider = ratio_to_means([88.0, 92.0], means)
    assert wider is not None and wider.high > ratio.high and wider.low < ratio.low
    assert ratio_to_means([90.0], means) is None and ratio_to_means([90.0, 91.0], [100.0]) is None
    assert ratio_to_means([90.0, 0.0], means) is None


def test_wilsons_interval_is_that_of_the_tables() -> None:
    found = wilson_interval(1, 10)
    assert found.low == pytest.approx(0.0179, abs=1e-4) and found.high == pytest.approx(0.4042, abs=1e-4)
    assert wilson_interval(0, 0) == Interval(0.0, 1.0)
    assert wilson_interval(10, 10).high == pytest.approx(1.0)


def test_the_median_deviation_is_not_moved_by_one_value_far_off() -> None:
    assert median_deviation([1.0, 2.0, 3.0, 4.0, 100.0]) == 1.0
    assert median_deviation([7.0]) is None


def test_a_value_far_off_is_an_outlier_and_ordinary_spread_is_none() -> None:
    assert outliers([100.0, 101.0, 99.0, 100.5, 60.0], 3.5) == (4,)
    assert outliers([100.0, 101.0, 99.0, 100.5, 98.5], 3.5) == ()
    # Too few to say, and half of them equal.
    assert outliers([100.0, 101.0, 60.0], 3.5) == () and outliers([5.0, 5.0, 5.0, 6.0], 3.5) == ()


def test_the_interval_of_a_mean_is_students() -> None:
    # R: t.test(c(98, 100, 102)) gives 95.03 to 104.97.
    assert interval_share([98.0, 100.0, 102.0]) == pytest.approx(0.0497, abs=1e-4)
    assert interval_share([98.0]) is None


def test_the_bootstrap_promises_what_it_holds_also_for_few_pairs() -> None:
    draw = random.Random(7)
    for pairs, least in ((3, 0.85), (5, 0.88), (12, 0.90)):
        covered = 0
        for trial in range(200):
            # A drift that falls on both of a pair, and noise of each by itself: a true ratio of 1.1.
            drift = [draw.gauss(1, 0.2) for _ in range(pairs)]
            a = [110 * max(0.2, level) * draw.gauss(1, 0.03) for level in drift]
            b = [100 * max(0.2, level) * draw.gauss(1, 0.03) for level in drift]
            found = bootstrap_ratio(a, b, seed=trial, draws=300)
            covered += found is not None and found.low <= 1.1 <= found.high
        assert covered >= least * 200, pairs


def test_the_bootstrap_of_two_pairs_is_students_interval() -> None:
    # Logarithms 0.1 and 0.3: 0.2 -+ 12.706 * 0.1. A shorter one finds a difference in 7 of 100 equal sides.
    found = bootstrap_ratio([math.exp(0.1), math.exp(0.3)], [1.0, 1.0], seed=0)
    assert found is not None
    assert math.log(found.low) == pytest.approx(0.2 - 1.2706, abs=1e-3)
    assert math.log(found.high) == pytest.approx(0.2 + 1.2706, abs=1e-3)


def test_a_bootstrap_is_the_same_for_the_same_seed_and_takes_pairs_of_positive_values() -> None:
    draw = random.Random(3)
    a, b = [draw.gauss(110, 3) for _ in range(12)], [draw.gauss(100, 3) for _ in range(12)]
    assert bootstrap_ratio(a, b, 1) == bootstrap_ratio(a, b, 1) != bootstrap_ratio(a, b, 2)
    assert bootstrap_ratio(a, b[:2], 1) is None and bootstrap_ratio([1.0], [1.0], 1) is None
    assert bootstrap_ratio([1.0, 0.0], [1.0, 1.0], 1) is None
