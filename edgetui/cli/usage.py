"""Wrong usage of the command line in one sentence: what was wrong, and where it stands what can be given."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from edgetui.core.failures import EdgetuiError
from edgetui.core.plain_text import plain_line

if TYPE_CHECKING:
    from collections.abc import Iterator

# Typer shows no other way to what its parser raises, and whether that is click's own depends on its version.
_UsageError: Any = typer.BadParameter.__base__

_IN_WORDS = (
    (r"Input should be a valid integer.*", "it takes a whole number"),
    (r"Input should be a valid number.*", "it takes a number"),
    ("Input should be greater than or equal to ", "it takes a number of at least "),
    ("Input should be less than or equal to ", "it takes a number of at most "),
    ("Input should be greater than ", "it takes a number above "),
    ("Input should be less than ", "it takes a number below "),
)
"""The parser's terms in a person's."""


@contextmanager
def usage_in_words() -> Iterator[None]:
    """Raise `EdgetuiError("bad_request")` in place of what the parser of the command line says."""
    try:
        yield
    except _UsageError as error:
        context = error.ctx
        if context is not None and error.message == context.get_help():
            # A group without a command: its help is the answer.
            error.show()
            raise SystemExit(error.exit_code) from error
        command = "edgetui" if context is None else context.command_path
        raise EdgetuiError("bad_request", usage_sentence(error.format_message(), command)) from error


def usage_sentence(message: str, command: str) -> str:
    """What the parser says of `command`, as one sentence with what to do."""
    head, colon, reason = plain_line(message).rstrip(".").partition(": ")
    for pattern, words in _IN_WORDS:
        reason = re.sub(pattern, words, reason)
    return f"{head}{colon}{reason}; {command} --help lists what it takes."
