"""The form in which something is written: the one that is named, or the one that a file's name ends in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetui.core.failures import EdgetuiError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import PurePath


def form_named(form: str, forms: Sequence[str]) -> str:
    """`form`, when it is one of `forms`; raises `EdgetuiError("bad_request")`."""
    if form not in forms:
        raise EdgetuiError("bad_request", f"There is no form {form or 'without a name'}: take {', '.join(forms)}.")
    return form


def form_by_ending(path: PurePath, forms: Sequence[str]) -> str:
    """The one of `forms`, two or more, in which the name ends, such as `csv`; raises `EdgetuiError("bad_request")`."""
    form = path.suffix[1:].lower()
    if form not in forms:
        *others, last = (f".{each}" for each in forms)
        raise EdgetuiError(
            "bad_request", f"{path.name} ends in no form that is known: let it end in {', '.join(others)} or {last}."
        )
    return form
