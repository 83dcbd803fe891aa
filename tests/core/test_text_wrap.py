"""Wrapping to terminal cells, whole and piece by piece."""

from __future__ import annotations

import random

import pytest
from rich.cells import cell_len

from edgetui.core.plain_text import plain_line, plain_text
from edgetui.core.text_wrap import WrappedText

PIECES = [
    "a", "word", "comma,", " ", "  ", "\t", "\n", "\n\n", "x" * 30, "-", "日", "本語", "e\u0301", "\u0301", "👩",
    "\u200d", "👧", "👍🏽", "❤", "\ufe0f", "🇩", "🇪", "«é»",
]  # fmt: skip


def lines(text: str, width: int) -> list[str]:
    return WrappedText(width, text).lines


def test_words_break_at_blanks_and_the_blank_vanishes() -> None:
    assert lines("the road shines", 8) == ["the road", "shines"]
    assert lines("one    two", 5) == ["one  ", "two"]


def test_lines_of_the_text_stay_lines() -> None:
    assert lines("a\n\n  b\n", 10) == ["a", "", "  b", ""]


def test_a_word_longer_than_a_line_begins_a_line_and_is_cut() -> None:
    assert lines("see abcdefghij", 6) == ["see ", "abcdef", "ghij"]
    assert lines("  abcdefghij", 6) == ["  abcd", "efghij"]


def test_wide_characters_break_anywhere_and_are_never_halved() -> None:
    assert lines("日本語の文章", 5) == ["日本", "語の", "文章"]
    assert lines("ab日本", 3) == ["ab", "日", "本"]


def test_combining_characters_stay_with_their_letter() -> None:
    assert lines("e\u0301" * 4, 2) == ["e\u0301e\u0301", "e\u0301e\u0301"]
    assert lines("👩\u200d👧👩\u200d👧", 3) == ["👩\u200d👧", "👩\u200d👧"]


def test_tabs_become_blanks_to_the_next_stop() -> None:
    assert lines("a\tb\n\tc", 20) == ["a   b", "    c"]


def test_a_width_of_nothing_still_terminates() -> None:
    assert lines("ab 日", 0) == ["a", "b", "日"]


@pytest.mark.parametrize("seed", range(150))
def test_growing_piece_by_piece_gives_the_lines_of_the_whole(seed: int) -> None:
    chance = random.Random(seed)
    width = chance.randint(2, 40)
    text = "".join(chance.choice(PIECES) for _ in range(chance.randint(0, 120)))
    growing = WrappedText(width)
    position = 0
    while position < len(text):
        before = list(growing.lines)
        step = chance.randint(1, 7)
        first_changed = growing.append(text[position : position + step])
        assert growing.lines[:first_changed] == before[:first_changed]
        position += step
    assert growing.lines == lines(text, width)
    assert growing.text == text


@pytest.mark.parametrize("seed", range(40))
def test_a_new_width_gives_the_lines_of_a_new_text(seed: int) -> None:
    chance = random.Random(seed)
    text = "".join(chance.choice(PIECES) for _ in range(80))
    wrapped = WrappedText(chance.randint(2, 40), text)
    wrapped.rewrap(23)
    assert wrapped.lines == lines(text, 23)


@pytest.mark.parametrize("seed", range(60))
def test_no_line_is_wider_than_the_width_and_no_visible_character_is_lost(seed: int) -> None:
    chance = random.Random(seed)
    pieces = [piece for piece in PIECES if piece not in ("\u200d", "\ufe0f", "\u0301")]
    text = "".join(chance.choice(pieces) for _ in range(100))
    wrapped = WrappedText(17, text)
    assert all(cell_len(line) <= 17 for line in wrapped.lines)
    assert "".join(wrapped.lines).replace(" ", "") == "".join(text.split())


def test_a_place_in_the_text_is_found_again_after_rewrapping() -> None:
    wrapped = WrappedText(10, "alpha beta gamma delta epsilon zeta")
    offset = wrapped.start_of(2)
    wrapped.rewrap(6)
    assert wrapped.lines[wrapped.line_at(offset)].startswith("delta")


def test_controls_are_shown_and_not_sent() -> None:
    assert plain_text("\x1b[31mred\x07\x00") == "␛[31mred␇␀"
    assert plain_text("\x9b31m\x7f") == "\N{REPLACEMENT CHARACTER}31m␡"


def test_text_cannot_be_turned_around_or_hidden() -> None:
    assert plain_text("a\u202eb\u2066c") == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}c"
    assert plain_text("a\u200bb\ufeffc\xadd\re") == "abcde"


def test_line_ends_of_every_kind_are_newlines() -> None:
    assert plain_text("a\r\nb\u2028c\x85d\te") == "a\nb\nc\nd\te"
    assert plain_line("a\r\nb\tc") == "a b c"


def test_ordinary_text_is_left_alone() -> None:
    text = "Ünïcode, 日本, 👩\u200d👧, \u05e9\u05dc\u05d5\u05dd, na\u0131ve \u2192 x\u00b2"
    assert plain_text(text) == text


def test_safe_parts_make_a_safe_whole() -> None:
    text = "a\r\n\x1b]0;title\x07b\u202e\t\x85"
    assert "".join(plain_text(char) for char in text) == plain_text(text)
