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
