"""Two models side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import work
from textual.binding import Binding
from textual.widgets import DataTable, Static

from edgetui.core.failures import EdgetuiError
from edgetui.core.model_diff import compare
from edgetui.core.plain_text import plain_line
from edgetui.screens.base import LabScreen
from edgetui.widgets.row_table import RowTable

if TYPE_CHECKING:
    from textual import events
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from edgetui.core.model_diff import DiffRow
    from edgetui.core.models import ModelEntry

_LABEL_SHARE = 0.28


class ModelDiffScreen(LabScreen):
    """A table of what differs, by sections."""

    MODE = "models"
    HELP = (
        "Two models side by side: sizes by part, then the metadata and the tensors that differ. Lines that differ are"
        " bold; a shows only those. The line at the bottom holds the marked one whole."
    )
    AUTO_FOCUS = "DataTable"
    DEFAULT_CSS = """
    ModelDiffScreen #counts { height: 1; padding: 0 1; color: $text-muted; text-wrap: nowrap; text-overflow: ellipsis; }
    ModelDiffScreen DataTable { height: 1fr; }
    ModelDiffScreen #whole { height: auto; max-height: 8; padding: 0 1; color: $text-muted; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("a", "differing", "Only what differs", id="model_diff.differing")]

    def __init__(self, left: ModelEntry, right: ModelEntry) -> None:
        super().__init__()
        self._sides = (left, right)
        self._rows: tuple[DiffRow, ...] = ()
        self._shown: list[DiffRow | None] = []
        self._only_differing = False

    def compose_body(self) -> ComposeResult:
        """Counts, the table, the marked line."""
        yield Static("Reading both...", id="counts", markup=False)
        yield RowTable()
        yield Static("", id="whole", markup=False)

    def on_mount(self) -> None:
        """Read both."""
        self._read()

    def action_differing(self) -> None:
        """Hide what is the same, or show it again."""
        self._only_differing = not self._only_differing
        self._fill()

    def action_back(self) -> None:
        """Dismiss a failure, else back to the list."""
        if not self.clear_failure():
            self.app.pop_screen()

    def on_resize(self, _event: events.Resize) -> None:
        """Columns as wide as there is room."""
        self._fill()

    def on_data_table_row_highlighted(self, _event: DataTable.RowHighlighted) -> None:
        """The marked line whole."""
        row = self.query_one(DataTable).cursor_row
        line = self._shown[row] if 0 <= row < len(self._shown) else None
        whole = "" if line is None else f"{line.label}: {line.left}\n{' ' * len(line.label)}  {line.right}"
        self.query_one("#whole", Static).update("\n".join(map(plain_line, whole.splitlines())))

    @work(exclusive=True)
    async def _read(self) -> None:
        try:
            left, right = [await self.lab.catalog.details(entry) for entry in self._sides]
        except EdgetuiError as error:
            self.show_failure(error)
            return
        self._rows = compare(left, right)
        self._fill()

    def _fill(self) -> None:
        if not self._rows or not self.has_widgets:
            return
        table = self.query_one(DataTable)
        table.clear(columns=True)
        # Each column has a blank on both sides, and the scroll bar takes two.
        room = max(30, self.size.width - 8)
        label = int(room * _LABEL_SHARE)
        widths = (label, (room - label) // 2, (room - label) // 2)
        titles = ("", *(plain_line(entry.name) for entry in self._sides))
        for title, width in zip(titles, widths, strict=True):
            table.add_column(Text(title, no_wrap=True, overflow="ellipsis"), width=width)
        self._shown = []
        section = ""
        for row in self._rows:
            if self._only_differing and not row.differs:
                continue
            if row.section != section:
                section = row.section
                table.add_row(Text(section, style="italic", no_wrap=True))
                self._shown.append(None)
            style = "bold" if row.differs else ""
            cells = (plain_line(text) for text in (row.label, row.left, row.right))
            table.add_row(*(Text(cell, style=style, no_wrap=True, overflow="ellipsis") for cell in cells))
            self._shown.append(row)
        differing = sum(row.differs for row in self._rows)
        self.query_one("#counts", Static).update(
            f"{differing} lines differ, {len(self._rows) - differing} are the same" if differing else "Nothing differs."
        )
