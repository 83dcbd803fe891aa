from __future__ import annotations

import pytest

from edgetui.core.units import counted, format_bytes, format_count, format_duration, format_rate


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (None, "-"),
        (0, "0 B"),
        (999, "999 B"),
        (1023, "1.00 KiB"),
        (1536, "1.50 KiB"),
        (98_300_000, "93.7 MiB"),
        (1024**3 - 1, "1.00 GiB"),
        (24 * 1024**3, "24.0 GiB"),
        (5 * 1024**5, "5120 TiB"),
    ],
)
def test_sizes_are_binary_with_three_figures(size_bytes: int | None, text: str) -> None:
    assert format_bytes(size_bytes) == text


@pytest.mark.parametrize(
    ("count", "text"), [(None, "-"), (12, "12"), (134_515_008, "135M"), (8_030_261_248, "8.03B"), (999_600, "1.00M")]
)
def test_counts_are_decimal(count: int | None, text: str) -> None:
    assert format_count(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "-"), (0.0123, "12.3 ms"), (0.9999, "1000 ms"), (1.5, "1.50 s"), (75, "1m 15s"), (3725, "1h 02m")],
)
def test_durations_choose_their_unit(seconds: float | None, text: str) -> None:
    assert format_duration(seconds) == text


def test_a_rate_that_was_not_measured_is_a_dash() -> None:
    assert format_rate(None) == "-"
    assert format_rate(112.43) == "112.4 tok/s"


def test_one_of_a_noun_is_singular() -> None:
    assert [counted(count, "piece") for count in (0, 1, 2)] == ["0 pieces", "1 piece", "2 pieces"]
