"""When a test has been repeated often enough."""

from __future__ import annotations

import pytest

from edgetui.core.bench import MOST_REPETITIONS, BenchSettings
from edgetui.engines.measuring import load_settings, stop_reason

STEADY, WIDE = [1_000_000_000, 1_001_000_000, 999_000_000], [1_000_000_000, 1_500_000_000, 800_000_000]


@pytest.mark.parametrize(
    ("samples", "settings", "reason"),
    [
        (STEADY, BenchSettings(repetitions=3), "repetitions"),
        (STEADY[:2], BenchSettings(repetitions=3), ""),
        (STEADY, BenchSettings(repetitions=1, until_percent=2), "interval"),
        (STEADY[:2], BenchSettings(repetitions=1, until_percent=2), ""),
        (STEADY, BenchSettings(repetitions=5, until_percent=2), ""),
        (WIDE, BenchSettings(repetitions=1, until_percent=2), ""),
        (WIDE, BenchSettings(repetitions=1, until_percent=2, budget_s=3), "budget"),
        (WIDE[:2], BenchSettings(repetitions=50, budget_s=3), ""),
        ([5_000_000_000], BenchSettings(repetitions=50, budget_s=3), ""),
        (WIDE * 400, BenchSettings(repetitions=1, until_percent=0.01), "repetitions"),
    ],
)
def test_repetitions_end_by_the_rule(samples: list[int], settings: BenchSettings, reason: str) -> None:
    assert MOST_REPETITIONS == 1000
    assert stop_reason(samples, settings) == reason


def test_a_load_takes_all_of_the_settings() -> None:
    settings = BenchSettings(
        threads=3,
        batch_tokens=64,
        kv_cache_type="q8_0",
        kv_cache_type_v="q4_0",
        flash_attention="on",
        gpu_layers=0,
        use_mmap=False,
    )
    load = load_settings(settings, 100)
    assert (load.context_tokens, load.threads, load.batch_tokens, load.physical_batch_tokens) == (100, 3, 64, 64)
    assert (load.kv_cache_type, load.kv_cache_type_v, load.flash_attention) == ("q8_0", "q4_0", "on")
    assert (load.gpu_layers, load.use_mmap) == (0, False)
