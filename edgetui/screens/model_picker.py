"""Choosing a model: type to filter, enter takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size
from textual.content import Content
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from edgetui.core.plain_text import plain_line
from edgetui.core.units import format_bytes, format_count
from edgetui.screens.list_dialog import ListDialog

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual import events
    from textual.app import ComposeResult

    from edgetui.core.models import ModelEntry


class ModelPicker(ListDialog["ModelEntry | None"]):
    """`await app.push_screen_wait(ModelPicker(entries))` gives the model chosen, None for none."""

    def __init__(self, entries: Sequence[ModelEntry], title: str = "Choose a model") -> None:
        super().__init__()
        # What cannot be used comes last, with its reason.
        self._entries = sorted(entries, key=lambda entry: (entry.problem is not None, entry.name.lower()))
        self._matching: list[ModelEntry] = []
        self._title = title

    def compose(self) -> ComposeResult:
        """Title, filter, list."""
        from textual.containers import Vertical

        with Vertical(classes="dialog"):
            yield Static(Content(f"{self._title}: type to filter, enter takes, esc closes"), classes="dialog-title")
            filter_input = Input(placeholder="name, type or architecture", compact=True)
            filter_input.cursor_blink = False
            yield filter_input
            yield OptionList(id="models", markup=False, compact=True)

    def on_mount(self) -> None:
        """Show all."""
        self._show_matching("")

    def on_resize(self, _event: events.Resize) -> None:
        """Rows as wide as there is room."""
        self._show_matching(self.query_one(Input).value)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter as the person types."""
        self._show_matching(event.value)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """A click on a row."""
        self.dismiss(self._matching[event.option_index])

    def action_take(self) -> None:
        """Take the row that is marked."""
        models = self.query_one(OptionList)
        if models.highlighted is not None and models.highlighted < len(self._matching):
            entry = self._matching[models.highlighted]
            if entry.problem is None:
                self.dismiss(entry)

    def _show_matching(self, text: str) -> None:
        words = text.lower().split()
        self._matching = [entry for entry in self._entries if _matches(entry, words)]
        models = self.query_one(OptionList)
        models.clear_options()
        if self._matching:
            width = max(20, min(76, self.app.size.width) - 6)
            models.add_options([Option(_row(entry, width), disabled=bool(entry.problem)) for entry in self._matching])
            models.highlighted = 0 if self._matching[0].problem is None else None
        else:
            reason = "No model matches: change the filter." if self._entries else "There is no model here yet."
            models.add_option(Option(Content(reason), disabled=True))


def _matches(entry: ModelEntry, words: Sequence[str]) -> bool:
    known = " ".join(filter(None, (entry.name, entry.quant_type, entry.architecture, entry.repo))).lower()
    return all(word in known for word in words)


def _row(entry: ModelEntry, width: int) -> Content:
    if entry.problem is not None:
        return Content(plain_line(f"{entry.name}: {entry.problem}"))
    figures = (
        f"{entry.quant_type or '-':>7} {format_count(entry.parameter_count):>6} {format_bytes(entry.size_bytes):>9}"
    )
    if entry.endpoint is not None:
        figures = f"{'on a server':>{len(figures)}}"
    room = max(8, width - len(figures) - 1)
    name = plain_line(entry.name)
    if cell_len(name) > room:
        name = f"{set_cell_size(name, room - 3)}..."
    return Content(f"{set_cell_size(name, room)} {figures}")
