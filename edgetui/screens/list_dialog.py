"""What dialogs with a filter above a list have in common: the keys move in the list while the filter has the focus."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.screen import ModalScreen, ScreenResultType
from textual.widgets import OptionList

from edgetui.screens.steady import Steady


class ListDialog(Steady, ModalScreen[ScreenResultType]):
    """Subclasses compose one `Input` and one `OptionList` in a container `.dialog`, and take the marked row."""

    DEFAULT_CSS = """
    ListDialog OptionList { height: auto; max-height: 1fr; border: none; padding: 0; background: $surface; }
    ListDialog .dialog { max-height: 90%; }
    ListDialog OptionList > .option-list--option-highlighted {
        color: $block-cursor-foreground; background: $block-cursor-background; text-style: bold;
    }
    ListDialog:ansi OptionList > .option-list--option-highlighted {
        color: ansi_default; background: ansi_default; text-style: bold reverse;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Close"),
        Binding("up", "move('cursor_up')", "Up", show=False, priority=True),
        Binding("down", "move('cursor_down')", "Down", show=False, priority=True),
        Binding("pageup", "move('page_up')", "Page up", show=False, priority=True),
        Binding("pagedown", "move('page_down')", "Page down", show=False, priority=True),
        Binding("enter", "take", "Choose", priority=True),
    ]
    AUTO_FOCUS = "Input"

    def action_move(self, how: str) -> None:
        """Move in the list while the filter keeps the focus."""
        getattr(self.query_one(OptionList), f"action_{how}")()

    def action_take(self) -> None:
        """Leave with the row that is marked."""
        raise NotImplementedError
