"""Tensors of a model as rows; only what is seen is drawn, so that a list of thousands answers like one of ten."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple

from rich.segment import Segment
from textual.binding import Binding
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from edgetui.core.plain_text import plain_line
from edgetui.core.tensor_errors import format_error, format_relative, format_shape
from edgetui.core.units import format_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from textual import events
    from textual.binding import BindingType

    from edgetui.core.tensor_errors import TensorRow

_WIDE = 110
"""From this width on every column is shown."""
_LEAST_NAME = 16


class _Column(NamedTuple):
    title: str
    width: int
    """Its blank at the left included."""
    text: Callable[[TensorRow], str]
    wide_only: bool = False


def _not_finite(row: TensorRow) -> int:
    return row.error.not_finite if row.error else 0


_COLUMNS = (
    _Column("SHAPE", 18, lambda row: format_shape(row.item.shape), wide_only=True),
    _Column("TYPE", 8, lambda row: row.item.type_name),
    _Column("SIZE", 10, lambda row: format_bytes(row.item.size_bytes)),
    _Column("SHARE", 8, lambda row: f"{row.share:.1%}"),
    _Column("REL ERR", 9, lambda row: format_relative(row.error)),
    _Column("RMSE", 10, lambda row: format_error(row.error.rmse if row.error else None, _not_finite(row)), True),
    _Column("MAX", 10, lambda row: format_error(row.error.max_abs if row.error else None, _not_finite(row)), True),
    _Column("WANTED", 8, lambda row: row.override),
)


class TensorTable(ScrollView, can_focus=True):
    """Rows with a cursor; `show` gives it others."""

    DEFAULT_CSS = """
    TensorTable {
        width: 1fr; height: 1fr; overflow-x: hidden; background: $background; color: $foreground;
        scrollbar-size-vertical: 1;
        .tensor-table--cursor { color: $block-cursor-foreground; background: $block-cursor-background; }
        .tensor-table--nan { color: $text-error; text-style: bold; }
        &:ansi .tensor-table--cursor { color: ansi_default; background: ansi_default; text-style: bold reverse; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"tensor-table--cursor", "tensor-table--nan"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", "Up", show=False),
        Binding("down", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home", "go(0)", "First row", show=False),
        Binding("end", "go(-1)", "Last row", show=False),
    ]
    ALLOW_SELECT = False

    cursor: reactive[int] = reactive(0, repaint=False)
    """Place of the row under the cursor."""

    class Moved(Message):
        """Another row is under the cursor."""

    def __init__(self) -> None:
        super().__init__()
        self._rows: Sequence[TensorRow] = ()
        self._marked: frozenset[str] = frozenset()

    @property
    def row(self) -> TensorRow | None:
        """The row under the cursor."""
        return self._rows[self.cursor] if 0 <= self.cursor < len(self._rows) else None

    def show(self, rows: Sequence[TensorRow], marked: frozenset[str]) -> None:
        """Show other rows, with the cursor on the same tensor where it is still among them."""
        name = self.row.item.name if self.row else ""
        self._rows, self._marked = rows, marked
        self.virtual_size = Size(self.size.width, len(rows))
        place = next((place for place, row in enumerate(rows) if row.item.name == name), 0)
        self.set_reactive(TensorTable.cursor, place)
        self._keep_in_view()
        self.refresh()
        self.post_message(self.Moved())

    def header(self) -> str:
        """Titles of the columns as wide as they are now."""
        name = self._name_width
        return f"  {'TENSOR':<{name}}" + "".join(f"{column.title:>{column.width}}" for column in self._shown)

    def watch_cursor(self, before: int, after: int) -> None:
        """Repaint both rows."""
        self._keep_in_view()
        for place in (before, after):
            self.refresh(Region(0, place - self.scroll_offset.y, self.size.width, 1))
        self.post_message(self.Moved())

    def action_move(self, by: int) -> None:
        """Rows up or down."""
        self._go(self.cursor + by)

    def action_page(self, pages: int) -> None:
        """Pages up or down."""
        self._go(self.cursor + pages * max(1, self.size.height - 1))

    def action_go(self, place: int) -> None:
        """To the first row, or with -1 to the last."""
        self._go(place if place >= 0 else len(self._rows) - 1)

    def on_click(self, event: events.Click) -> None:
        """Put the cursor there."""
        self._go(event.y + self.scroll_offset.y)

    def on_resize(self, _event: events.Resize) -> None:
        """As many columns as there is room for."""
        self.virtual_size = Size(self.size.width, len(self._rows))
        self._keep_in_view()

    def render_line(self, y: int) -> Strip:
        """One row of the screen."""
        place = y + self.scroll_offset.y
        width = self.size.width
        if not 0 <= place < len(self._rows):
            return Strip.blank(width, self.rich_style)
        row = self._rows[place]
        style = self.rich_style
        if _not_finite(row):
            style += self.get_component_rich_style("tensor-table--nan", partial=True)
        if place == self.cursor:
            style += self.get_component_rich_style("tensor-table--cursor", partial=True)
        return Strip([Segment(self._text(row), style)]).adjust_cell_length(width, style)

    def _text(self, row: TensorRow) -> str:
        mark = "*" if row.item.name in self._marked else " "
        name = plain_line(row.item.name)
        room = self._name_width
        if len(name) > room:
            # Names differ at their ends.
            name = f"~{name[len(name) - room + 1 :]}"
        figures = "".join(f"{column.text(row):>{column.width}}" for column in self._shown)
        return f"{mark} {name:<{room}}{figures}"

    @property
    def _shown(self) -> list[_Column]:
        return [column for column in _COLUMNS if self.size.width >= _WIDE or not column.wide_only]

    @property
    def _name_width(self) -> int:
        return max(_LEAST_NAME, self.size.width - 4 - sum(column.width for column in self._shown))

    def _go(self, place: int) -> None:
        if self._rows:
            self.cursor = max(0, min(place, len(self._rows) - 1))

    def _keep_in_view(self) -> None:
        top, height = self.scroll_offset.y, max(1, self.size.height)
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False)
        elif self.cursor >= top + height:
            self.scroll_to(y=self.cursor - height + 1, animate=False)
