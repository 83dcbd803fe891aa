"""Knees of a series: found where the rate falls, and not in noise."""

from __future__ import annotations

import random

from edgetui.core.soak import find_knee, soak_sentence
from edgetui.core.studies import SoakSample


def series(*levels: tuple[int, float], noise: float = 0.0, seed: int = 0) -> list[SoakSample]:
    draw = random.Random(seed)
    rates = [level * draw.gauss(1, noise) for count, level in levels for _ in range(count)]
    return [SoakSample(at_s=float(second), tps=rate) for second, rate in enumerate(rates, start=1)]


def test_the_knee_is_where_the_rate_falls() -> None:
    samples = series((60, 100.0), (120, 80.0), noise=0.02)
    knee = find_knee(samples)
    assert knee is not None and 58 <= knee.at_s <= 62
    assert 98 < knee.before_tps < 102 and 78 < knee.after_tps < 82
    told = soak_sentence(samples, knee)
    assert told.startswith("After 1m 00s") and "falls by 20%" in told and "standard deviations" in told


def test_a_slow_decline_has_a_knee_between_its_levels() -> None:
    samples = series((40, 100.0), *((1, 100.0 - step) for step in range(20)), (60, 80.0), noise=0.01)
    knee = find_knee(samples)
    assert knee is not None and 40 <= knee.at_s <= 61


def test_a_knee_near_either_end_is_found_where_it_is() -> None:
    late = find_knee(series((285, 100.0), (15, 60.0), noise=0.01))
    assert late is not None and late.at_s == 285 and 59 < late.after_tps < 61
    early = find_knee(series((20, 100.0), (280, 60.0), noise=0.01))
    assert early is not None and early.at_s == 20 and 99 < early.before_tps < 101


def test_a_rate_that_falls_twice_has_a_knee_at_one_of_its_falls() -> None:
    knee = find_knee(series((40, 100.0), (100, 80.0), (160, 60.0), noise=0.02))
    assert knee is not None and knee.at_s in (40, 140) and 78 < knee.before_tps < 82


def drift(count: int, seed: int) -> list[SoakSample]:
    """A rate in which each sample follows the one before: AR(1) of 0.95 around one level."""
    draw, off = random.Random(seed), 0.0
    samples = []
    for second in range(1, count + 1):
        off = 0.95 * off + draw.gauss(0, 1.5)
        samples.append(SoakSample(at_s=float(second), tps=100 + off))
    return samples


def test_a_slow_drift_and_a_steady_decline_have_no_knee() -> None:
    told = sum(find_knee(drift(count, seed)) is not None for count in (60, 300) for seed in range(100))
    assert told <= 10
    assert find_knee(series(*((1, 100.0 - step / 4) for step in range(120)), noise=0.01)) is None


def test_noise_has_no_knee() -> None:
    for seed in range(100):
        assert find_knee(series((120, 100.0), noise=0.08, seed=seed)) is None
    assert soak_sentence(series((120, 100.0), noise=0.08), None).startswith("No knee in 2m")


def test_a_burst_of_others_is_no_knee_nor_is_a_rise() -> None:
    assert find_knee(series((60, 100.0), (4, 50.0), (60, 100.0), noise=0.02)) is None
    assert find_knee(series((60, 80.0), (60, 100.0), noise=0.02)) is None


def test_a_few_samples_tell_nothing() -> None:
    samples = series((4, 100.0), (4, 50.0))
    assert find_knee(samples) is None and "too few" in soak_sentence(samples, None)


def test_what_the_machine_told_around_a_knee_is_said() -> None:
    samples = [
        SoakSample(
            at_s=sample.at_s,
            tps=sample.tps,
            temperature_c=60.0 if sample.at_s <= 30 else 85.0,
            throttled=() if sample.at_s <= 30 else ("package too hot",),
        )
        for sample in series((30, 100.0), (30, 70.0))
    ]
    told = soak_sentence(samples, find_knee(samples))
    assert "throttled by package too hot" in told and "60 to 85 C" in told
