"""Choosing a machine to ask about: this one, or a board by its data sheet."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from edgetui.screens.steady import Steady

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from edgetui.core.boards import BoardProfile


class BoardPicker(Steady, ModalScreen["BoardProfile | bool | None"]):
    """`push_screen_wait(BoardPicker(profiles))` gives a profile, True for this machine, None for no choice."""

    DEFAULT_CSS = """
    BoardPicker OptionList { height: auto; max-height: 1fr; border: none; padding: 0; background: $surface; }
    BoardPicker .dialog { max-height: 90%; }
    BoardPicker:ansi .option-list--option-highlighted {
        color: ansi_default; background: ansi_default; text-style: bold reverse;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Close")]

    def __init__(self, profiles: Sequence[BoardProfile]) -> None:
        super().__init__()
        self._profiles = profiles

    def compose(self) -> ComposeResult:
        """Title and list."""
        rows = [
            Content(f"{profile.name:<28}{profile.bandwidth_gb_per_s:>6.1f} GB/s  {profile.memory_kind}")
            for profile in self._profiles
        ]
        with Vertical(classes="dialog"):
            title = "Ask about which machine: enter takes, esc closes"
            yield Static(Content(title), classes="dialog-title")
            yield OptionList(
                Option(Content("this machine, as it is measured")), *map(Option, rows), markup=False, compact=True
            )

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Take it."""
        self.dismiss(True if event.option_index == 0 else self._profiles[event.option_index - 1])
