"""What a terminal says of itself."""

from __future__ import annotations

import os

import pytest

from edgetui.core.terminal import TerminalInfo, terminal_info, terminal_text


def test_a_terminal_over_ssh_in_tmux_is_told_without_addresses() -> None:
    environ = {
        "TERM": "tmux-256color",
        "COLORTERM": "truecolor",
        "SSH_CONNECTION": "10.1.2.3 50000 10.1.2.4 22",
        "TMUX": "/tmp/tmux-1000/default,1,0",
    }
    text = terminal_text(terminal_info(environ, descriptor=-1))
    assert text.startswith("tmux-256color, 24-bit colour, ")
    assert text.endswith("output goes to no terminal, over SSH, in tmux")
    assert "10.1" not in text


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({}, "TERM is not set, no colour"),
        ({"TERM": "vt220"}, "vt220, no colour"),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, "xterm-256color, 256 colours (NO_COLOR is set)"),
        ({"TERM": "screen", "STY": "1.pts"}, "in screen"),
    ],
)
def test_its_colours_are_told_by_its_environment(environ: dict[str, str], words: str) -> None:
    assert words in terminal_text(terminal_info(environ, descriptor=-1))


def test_its_size_is_asked_of_the_terminal() -> None:
    master, slave = os.openpty()
    try:
        import fcntl
        import struct
        import termios

        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        info = terminal_info({"TERM": "xterm"}, descriptor=slave)
    finally:
        os.close(master)
        os.close(slave)
    assert isinstance(info, TerminalInfo) and (info.columns, info.rows) == (80, 24)
