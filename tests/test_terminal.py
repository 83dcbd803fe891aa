"""The last step to the terminal: the same picture in fewer bytes."""

from __future__ import annotations

import random

import pyte
import pytest

from edgetui.terminal import lean

STYLES = [
    "38;2;224;224;224;48;2;18;18;18",
    "1;38;2;224;224;224;48;2;18;18;18",
    "3;4;38;2;224;224;224;48;2;18;18;18",
    "1;38;5;12",
    "9;31;44",
    "97;100",
    "7",
    "38;2;1;2;3",
]


def screen_after(data: str) -> pyte.Screen:
    screen = pyte.Screen(400, 10)
    pyte.Stream(screen).feed(data.replace("\n", "\r\n"))
    return screen


def test_a_style_is_said_once_for_rows_that_share_it() -> None:
    row = "\x1b[{};1H\x1b[38;5;12mtext\x1b[0m"
    data = "\n".join(row.format(number) for number in (3, 4, 5))
    assert lean(data) == "\x1b[3;1H\x1b[38;5;12mtext\x1b[4;1Htext\x1b[5;1Htext\x1b[0m"


def test_of_a_style_that_follows_another_only_the_difference_is_said() -> None:
    plain, bold = "38;2;9;9;9;48;2;1;1;1", "1;38;2;9;9;9;48;2;1;1;1"
    data = f"\x1b[{plain}ma \x1b[0m\x1b[{bold}mb\x1b[0m\x1b[{plain}m c\x1b[0m"
    assert lean(data) == f"\x1b[{plain}ma \x1b[1mb\x1b[22m c\x1b[0m"


def test_an_unknown_style_is_said_in_full() -> None:
    assert lean("\x1b[7ma\x1b[0m\x1b[53mb\x1b[0m") == "\x1b[7ma\x1b[0;53mb\x1b[0m"


def test_output_without_styles_is_left_alone() -> None:
    for data in ("", "\x1b[?1049h", "plain\ntext", "\x1b[?2026$p"):
        assert lean(data) == data


def test_plain_text_after_a_style_is_plain() -> None:
    assert lean("\x1b[7ma\x1b[0mb\x1b[7mc\x1b[0m") == "\x1b[7ma\x1b[0mb\x1b[7mc\x1b[0m"


def test_a_style_ends_before_any_other_sequence() -> None:
    assert lean("\x1b[7ma\x1b[0m\x1b[?1049l") == "\x1b[7ma\x1b[0m\x1b[?1049l"


@pytest.mark.parametrize("seed", range(40))
def test_the_picture_is_the_same(seed: int) -> None:
    chance = random.Random(seed)
    parts = []
    for _ in range(60):
        kind = chance.random()
        if kind < 0.3:
            newline = "\n" if chance.random() < 0.5 else ""
            parts.append(f"{newline}\x1b[{chance.randint(1, 9)};{chance.randint(1, 30)}H")
        elif kind < 0.8:
            parts.append(f"\x1b[{chance.choice(STYLES)}m{chance.choice(['ab', ' ', 'xyz', '日'])}\x1b[0m")
        elif kind < 0.9:
            parts.append(chance.choice(["plain", "\x1b[K"]))
        else:
            parts.append("\x1b[0m")
    data = "".join(parts)
    assert len(lean(data)) <= len(data)
    assert screen_after(lean(data)).buffer == screen_after(data).buffer
