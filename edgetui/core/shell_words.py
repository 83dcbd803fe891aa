"""Words of a command line as a shell reads them back: odd paths, prompts of many lines, other people's bytes."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_ARGUMENT_BYTES = 100_000
"""Linux takes 128 KiB for one word of a command; what is longer goes in by a pipe."""
_ESCAPES = {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def shell_word(text: str) -> str:
    """One word for a POSIX shell.

    Control characters and bytes that are no UTF-8 would not survive a terminal or a file: they become `$'...'`,
    which bash, zsh, ksh and POSIX since 2024 know. Raises `ValueError` for a NUL, which no command takes.
    """
    if "\0" in text:
        raise ValueError("no word of a command holds a NUL")
    if all(char in "\n\t" or (char >= " " and char != "\x7f" and not _is_odd(char)) for char in text):
        return shlex.quote(text)
    return "$'" + "".join(_escaped(char) for char in text) + "'"


def shell_command(words: Iterable[str]) -> str:
    """Words joined into one command."""
    return " ".join(shell_word(word) for word in words)


def number(value: float) -> str:
    """A number as short as it can be and still be the same one."""
    short = f"{value:g}"
    return short if float(short) == value else repr(value)


def fits_argument(text: str) -> bool:
    """Whether a text can be one word of a command."""
    return "\0" not in text and len(text.encode("utf-8", "surrogateescape")) <= MOST_ARGUMENT_BYTES


def piped(text: str, command: str) -> str:
    """A command that reads a text from stdin, to the byte; `printf` is the shell's own, so no length is too much."""
    return f"printf %s {shell_word(text)} | {command}"


def _is_odd(char: str) -> bool:
    return "\x80" <= char <= "\x9f" or "\ud800" <= char <= "\udfff"


def _escaped(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char >= " " and char != "\x7f" and not _is_odd(char):
        return char
    # Octal has at most three digits, so nothing after it is taken for part of it.
    return "".join(f"\\{byte:03o}" for byte in char.encode("utf-8", "surrogateescape"))
