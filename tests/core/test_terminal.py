"""What a terminal is taken to be able to show."""

from __future__ import annotations

import pytest

from edgetui.core.terminal import colour_count, draws_unicode


def test_block_characters_need_a_utf8_locale() -> None:
    assert draws_unicode("UTF-8") and draws_unicode("utf8")
    assert not draws_unicode("ANSI_X3.4-1968")
    assert not draws_unicode("ISO-8859-1")


@pytest.mark.parametrize(
    ("environ", "colours"),
    [
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, 1 << 24),
        ({"TERM": "screen-256color"}, 256),
        ({"TERM": "linux"}, 16),
        ({"TERM": "vt100"}, 0),
        ({"TERM": "dumb"}, 0),
        ({}, 0),
    ],
)
def test_colours_are_what_the_terminal_says_of_itself(environ: dict[str, str], colours: int) -> None:
    assert colour_count(environ) == colours
