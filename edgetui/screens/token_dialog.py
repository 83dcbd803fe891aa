"""Asking for a token of the hub without showing it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from edgetui.screens.steady import SteadySize

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType


class TokenDialog(SteadySize, ModalScreen["str | None"]):
    """`await app.push_screen_wait(TokenDialog(page))` gives the token, None when it was left."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Close")]
    AUTO_FOCUS = "Input"

    def __init__(self, page: str) -> None:
        """`page` is where tokens are made."""
        super().__init__()
        self._page = page

    def compose(self) -> ComposeResult:
        """Title, field, what becomes of it."""
        with Vertical(classes="dialog"):
            yield Static(Content("Token of the hub: enter keeps it, esc closes"), classes="dialog-title")
            field = Input(password=True, compact=True, placeholder="hf_...")
            field.cursor_blink = False
            yield field
            yield Static(
                Content(
                    f"Make one with read rights at {self._page}. It goes where huggingface_hub keeps it, readable by"
                    " you only, and to the hub alone."
                ),
                classes="muted",
            )

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter; nothing typed stays in the dialog."""
        if event.value.strip():
            self.dismiss(event.value.strip())
