"""What went wrong, in one sentence that stays until it is dismissed or replaced."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content
from textual.widget import Widget

if TYPE_CHECKING:
    from edgetui.core.failures import Failure


class FailureBar(Widget):
    """Hidden while there is nothing to say."""

    def __init__(self) -> None:
        super().__init__()
        self.display = False
        self._text = Content("")
        self.failure: Failure | None = None
        """The last that was shown."""

    @property
    def message(self) -> str:
        """The sentence shown, empty when there is none."""
        return self._text.plain if self.display else ""

    def show(self, failure: Failure) -> None:
        """Show a failure in place of the one before."""
        # The sentence may quote names of files and models: no control character reaches the terminal.
        sentence = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in failure.message)
        self.failure = failure
        self._text = Content(f"Error: {sentence}  (esc closes this)")
        self.display = True
        self.refresh(layout=True)

    def hide(self) -> bool:
        """Dismiss; says whether there was anything."""
        shown = self.display
        self.display = False
        return bool(shown)

    def render(self) -> Content:
        """The sentence, wrapped."""
        return self._text
