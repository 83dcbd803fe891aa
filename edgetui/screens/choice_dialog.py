"""Choosing one of a few things, each with a line on what it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static

from edgetui.screens.steady import Steady

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult
    from textual.binding import BindingType


class ChoiceDialog(Steady, ModalScreen["int | None"]):
    """`push_screen_wait(ChoiceDialog(title, [(name, what it is), ...]))` gives the place of one, None for no choice."""

    DEFAULT_CSS = """
    ChoiceDialog OptionList { height: auto; max-height: 1fr; border: none; padding: 0; background: $surface; }
    ChoiceDialog .dialog { max-height: 90%; }
    ChoiceDialog:ansi .option-list--option-highlighted {
        color: ansi_default; background: ansi_default; text-style: bold reverse;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Close")]

    def __init__(self, title: str, choices: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self._title = title
        self._choices = choices

    def compose(self) -> ComposeResult:
        """Title and list."""
        width = max((len(name) for name, _ in self._choices), default=0) + 2
        with Vertical(classes="dialog"):
            yield Static(Content(f"{self._title}: enter takes, esc closes"), classes="dialog-title")
            yield OptionList(
                *(Content(f"{name:<{width}}{about}") for name, about in self._choices), markup=False, compact=True
            )

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Take it."""
        self.dismiss(event.option_index)
