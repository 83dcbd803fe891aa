from __future__ import annotations

import statistics

import pytest

from edgetui.core.statistics import mean, median, percentile, ratio_of_means, standard_deviation

VALUES = [112.4, 111.0, 113.9, 110.2, 112.5]


def test_mean_and_deviation_are_the_textbook_ones() -> None:
    assert mean(VALUES) == pytest.approx(statistics.fmean(VALUES))
    assert standard_deviation(VALUES) == pytest.approx(statistics.stdev(VALUES))


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


@pytest.mark.parametrize(("a", "b"), [([1.0], [1.0, 2.0]), ([1.0, 2.0], []), ([0.0, 1.0], [1.0, 2.0])])
def test_too_little_to_compare_gives_nothing(a: list[float], b: list[float]) -> None:
    assert ratio_of_means(a, b) is None
