"""Rates and latencies from the times of tokens."""

from __future__ import annotations

import random

import pytest

from edgetui.core.token_rate import RateHistory, TokenRate, decode_tps, prefill_tps

MS = 1_000_000


def test_nothing_is_measured_before_there_are_tokens() -> None:
    rate = TokenRate()
    assert (rate.token_count, rate.last_ns) == (0, 0)
    assert rate.ttft_s is rate.mean_tps is rate.recent_tps() is rate.interval_s(50) is None


def test_one_token_gives_a_ttft_and_no_rate() -> None:
    rate = TokenRate()
    rate.add([80 * MS])
    assert rate.ttft_s == 0.08
    assert rate.mean_tps is rate.recent_tps() is rate.interval_s(99) is None


def test_the_first_token_does_not_count_as_decoded() -> None:
    rate = TokenRate()
    # Half a second of prefill, then 10 ms a token.
    rate.add([500 * MS + i * 10 * MS for i in range(101)])
    assert rate.mean_tps == pytest.approx(100)
    assert rate.ttft_s == 0.5


def test_the_recent_rate_forgets_what_is_older_than_its_window() -> None:
    rate = TokenRate()
    rate.add(range(0, 2000 * MS, 100 * MS))
    slow = rate.recent_tps()
    rate.add(range(2000 * MS, 4000 * MS, 10 * MS))
    assert slow == pytest.approx(10)
    assert rate.recent_tps() == pytest.approx(100)
    assert rate.mean_tps is not None and 20 < rate.mean_tps < 100


def test_a_rate_slower_than_the_window_is_still_a_rate() -> None:
    rate = TokenRate()
    rate.add([0, 4_000 * MS])
    assert rate.recent_tps(window_s=1.0) == pytest.approx(0.25)


def test_percentiles_are_by_nearest_rank_over_intervals_in_any_order() -> None:
    intervals = list(range(1, 101))
    random.Random(7).shuffle(intervals)
    times, now = [0], 0
    for interval in intervals:
        now += interval * MS
        times.append(now)
    rate = TokenRate()
    for start in range(0, len(times), 13):
        rate.add(times[start : start + 13])
    assert [rate.interval_s(p) for p in (50, 95, 99, 100)] == [0.05, 0.095, 0.099, 0.1]
    assert rate.interval_s(0) == 0.001


def test_how_tokens_are_grouped_changes_no_figure() -> None:
    times = [5 * MS * i * i for i in range(1, 60)]
    whole, single = TokenRate(), TokenRate()
    whole.add(times)
    for time in times:
        single.add([time])
    assert whole.mean_tps == single.mean_tps
    assert whole.recent_tps() == single.recent_tps()
    assert whole.interval_s(95) == single.interval_s(95)


def test_a_history_keeps_the_whole_answer_in_few_spans() -> None:
    history = RateHistory(spans=8, first_span_s=0.5)
    history.add(range(0, 60_000 * MS, 10 * MS))
    rates = history.rates_tps
    assert 4 <= len(rates) <= 8
    assert rates == pytest.approx([100.0] * len(rates))


def test_a_history_shows_where_the_rate_fell() -> None:
    history = RateHistory(spans=20, first_span_s=0.5)
    history.add(range(0, 2000 * MS, 10 * MS))
    history.add(range(2000 * MS, 4000 * MS, 50 * MS))
    rates = history.rates_tps
    assert rates[:4] == pytest.approx([100.0] * 4)
    assert rates[-3:] == pytest.approx([20.0] * 3)


def test_a_stall_leaves_a_gap_in_the_history() -> None:
    history = RateHistory(spans=10, first_span_s=0.5)
    history.add([0, 100 * MS, 2_100 * MS, 2_200 * MS])
    assert history.rates_tps[1:4] == [None, None, None]
    assert history.rates_tps[0] == pytest.approx(10)


def test_rates_that_cannot_be_told_are_none() -> None:
    assert decode_tps(1, 0.0) is decode_tps(0, 1.0) is decode_tps(5, 0.0) is None
    assert prefill_tps(0, 0.1) is prefill_tps(10, 0.0) is None
    assert decode_tps(11, 0.1) == pytest.approx(100)
    assert prefill_tps(50, 0.25) == pytest.approx(200)
