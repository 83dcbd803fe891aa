"""Asking for the name of a file to make."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.widgets import Input

from edgetui.screens.line_dialog import LineDialog, T

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class NameFileDialog(LineDialog[T]):
    """`await app.push_screen_wait(NameFileDialog(path, take))`: see `LineDialog`; `take` makes the file."""

    def __init__(
        self,
        path: str,
        take: Callable[[str], Awaitable[T]],
        title: str = "Name the file to make: enter takes it, esc closes",
    ) -> None:
        super().__init__(title, Input(path, compact=True, select_on_focus=False), take)
