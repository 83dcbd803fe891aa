"""Meters and charts as text."""

from __future__ import annotations

from edgetui.widgets.bars import ASCII, BLOCKS, chart_rows, meter


def test_a_meter_fills_by_its_share_and_always_has_the_same_length() -> None:
    for glyphs in (BLOCKS, ASCII):
        for share in (0.0, 0.01, 0.33, 0.5, 0.99, 1.0, 1.5, -1.0, None):
            assert len("".join(meter(share, 10, glyphs))) == 10
    assert meter(0.5, 10, ASCII) == ("#####", ".....")
    assert meter(0.25, 10, BLOCKS) == ("━━╸", "───────")


def test_little_is_drawn_as_something_and_nothing_as_nothing() -> None:
    assert meter(0.001, 10, ASCII)[0] == "#"
    assert meter(0.0, 10, ASCII)[0] == ""
    assert meter(None, 10, ASCII)[0] == ""


def test_chart_grows_from_the_bottom_with_the_newest_value_at_the_right() -> None:
    assert chart_rows([0.0, 0.5, 1.0], 3, 1, BLOCKS, high=1.0) == ["▁▄█"]
    assert chart_rows([0.25, 1.0], 4, 2, BLOCKS, high=1.0) == ["   █", "  ▄█"]


def test_a_missing_value_is_a_gap_and_not_a_zero() -> None:
    assert chart_rows([1.0, None, 0.0], 3, 1, BLOCKS, high=1.0) == ["█ ▁"]
    assert chart_rows([1.0, None, 0.0], 3, 1, ASCII, high=1.0) == ["| ."]


def test_only_the_newest_values_that_fit_are_drawn() -> None:
    assert chart_rows([1.0, 1.0, 0.0, 0.0], 2, 1, BLOCKS, high=1.0) == ["▁▁"]


def test_without_a_top_the_largest_value_reaches_it() -> None:
    assert chart_rows([50.0, 100.0], 2, 1, BLOCKS) == ["▄█"]
    assert chart_rows([0.0, 0.0], 2, 1, BLOCKS) == ["▁▁"]
    assert chart_rows([], 3, 2, BLOCKS) == ["   ", "   "]


def test_ascii_is_ascii() -> None:
    drawn = "".join(chart_rows([0.1, 0.5, 0.9, None], 6, 3, ASCII)) + "".join(meter(0.4, 9, ASCII))
    assert drawn.isascii()
