"""A question that only an explicit yes answers with yes."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from edgetui.core.plain_text import plain_text
from edgetui.screens.steady import Steady

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType


class ConfirmDialog(Steady, ModalScreen[bool]):
    """`await app.push_screen_wait(ConfirmDialog("Remove it?"))`; enter and esc mean no."""

    DEFAULT_CSS = """
    ConfirmDialog Static { height: auto; }
    ConfirmDialog #answers { margin-top: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "dismiss(True)", "Yes"),
        Binding("n,enter,escape", "dismiss(False)", "No", key_display="n"),
    ]

    def __init__(self, question: str, explanation: str = "") -> None:
        super().__init__()
        self._question = question
        self._explanation = explanation

    def compose(self) -> ComposeResult:
        """Explanation, question, keys."""
        with Vertical(classes="dialog"):
            if self._explanation:
                yield Static(Content(plain_text(self._explanation)))
            yield Static(Content(plain_text(self._question)), classes="dialog-title")
            yield Static(Content("y yes    n no (also enter, esc)"), id="answers", classes="muted")
