"""Asking for a token of the hub without showing it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.widgets import Input

from edgetui.screens.line_dialog import LineDialog

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class TokenDialog(LineDialog[str]):
    """`await app.push_screen_wait(TokenDialog(page, login))` gives the account's name, None when it was left."""

    def __init__(self, page: str, login: Callable[[str], Awaitable[str]]) -> None:
        """`page` is where tokens are made."""
        super().__init__(
            "Token of the hub: enter keeps it, esc closes",
            Input(password=True, compact=True, placeholder="hf_..."),
            login,
            f"Make one with read rights at {page}. It goes where huggingface_hub keeps it, readable by you only, and to"
            " the hub alone.",
        )
