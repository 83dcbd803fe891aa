"""Asking for the name of a file to make."""

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


class NameFileDialog(SteadySize, ModalScreen["str | None"]):
    """`await app.push_screen_wait(NameFileDialog(path))` gives what was written, None when it was left."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Close")]
    AUTO_FOCUS = "Input"

    def __init__(self, path: str, title: str = "Name the file to make: enter takes it, esc closes") -> None:
        super().__init__()
        self._path = path
        self._title = title

    def compose(self) -> ComposeResult:
        """Title and field."""
        with Vertical(classes="dialog"):
            yield Static(Content(self._title), classes="dialog-title")
            field = Input(self._path, compact=True, select_on_focus=False)
            field.cursor_blink = False
            yield field

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter; an empty name stays in the dialog."""
        if event.value.strip():
            self.dismiss(event.value.strip())
