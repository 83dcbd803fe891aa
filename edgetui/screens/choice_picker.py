"""Choosing one of a few things: type to filter, enter takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from edgetui.core.plain_text import plain_line
from edgetui.screens.list_dialog import ListDialog

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult


class Choice(NamedTuple):
    """One row."""

    text: str
    detail: str = ""
    """More of it, shown below the list while its row is marked."""


class ChoicePicker(ListDialog["int | None"]):
    """`await app.push_screen_wait(ChoicePicker(title, choices))` gives an index, None for none."""

    DEFAULT_CSS = """
    ChoicePicker #detail { height: auto; max-height: 6; margin-top: 1; color: $text-muted; }
    """

    def __init__(self, title: str, choices: Sequence[Choice], marked: int = 0) -> None:
        """`marked` is the row that the cursor begins on."""
        super().__init__()
        self._title = title
        self._choices = choices
        self._matching = list(range(len(choices)))
        self._first = marked

    def compose(self) -> ComposeResult:
        """Title, filter, list, what the marked row says more."""
        with Vertical(classes="dialog"):
            yield Static(Content(f"{self._title}: type to filter, enter takes, esc closes"), classes="dialog-title")
            filter_input = Input(compact=True)
            filter_input.cursor_blink = False
            yield filter_input
            yield OptionList(markup=False, compact=True)
            yield Static(id="detail", markup=False)

    def on_mount(self) -> None:
        """Show all."""
        self._show("")
        self.query_one(OptionList).highlighted = self._first if self._choices else None

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter as the person types."""
        self._show(event.value)

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Say more of the marked row."""
        if event.option_index < len(self._matching):
            detail = self._choices[self._matching[event.option_index]].detail
            self.query_one("#detail", Static).update(Content(plain_line(detail)[:600]))

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """A click on a row."""
        self.dismiss(self._matching[event.option_index])

    def action_take(self) -> None:
        """Take the row that is marked."""
        marked = self.query_one(OptionList).highlighted
        if marked is not None and marked < len(self._matching):
            self.dismiss(self._matching[marked])

    def _show(self, text: str) -> None:
        words = text.lower().split()
        self._matching = [
            number
            for number, choice in enumerate(self._choices)
            if all(word in f"{choice.text} {choice.detail}".lower() for word in words)
        ]
        rows = self.query_one(OptionList)
        rows.clear_options()
        if self._matching:
            rows.add_options([Option(Content(plain_line(self._choices[number].text))) for number in self._matching])
            rows.highlighted = 0
        else:
            rows.add_option(Option(Content("Nothing matches: change the filter."), disabled=True))
            self.query_one("#detail", Static).update("")
