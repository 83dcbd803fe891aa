"""Arguments that hold bytes which are no UTF-8: text of them loses those bytes, names of files keep them."""

from __future__ import annotations

import os
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any

from edgetui.core.failures import EdgetuiError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import typer


def mend_texts(app: typer.Typer) -> None:
    """Have every command get readable text for its options and arguments that are text.

    Python hands such bytes over as lone surrogates, which no encoder takes. A `Path` is left as it is, and so is a text
    that names a file which is there, since only the true name opens it.
    """
    roots = () if app.registered_callback is None else (app.registered_callback,)
    for info in (*app.registered_commands, *roots):
        if info.callback is not None:
            info.callback = _mended(info.callback)
    for group in app.registered_groups:
        if group.typer_instance is not None:
            mend_texts(group.typer_instance)


@contextmanager
def unreadable_in_words(arguments: Sequence[str]) -> Iterator[None]:
    """Say in one sentence that the name of a file cannot be used here because it is no UTF-8."""
    try:
        yield
    except UnicodeEncodeError as error:
        named = next((argument for argument in arguments if as_text(argument) != argument), None)
        if named is None:
            raise
        raise EdgetuiError(
            "bad_request", f"{as_text(named)} has a name that is no UTF-8, which this cannot take: rename it."
        ) from error


def as_text(given: str) -> str:
    """The same, with the replacement character in place of bytes that are no UTF-8."""
    return given.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _mended(command: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(command)
    def with_texts(**values: Any) -> Any:
        return command(**{name: _mend(value) for name, value in values.items()})

    return with_texts


def _mend(value: Any) -> Any:
    if isinstance(value, list):
        return [_mend(each) for each in value]
    return as_text(value) if isinstance(value, str) and not os.path.lexists(value) else value
