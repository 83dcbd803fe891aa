"""A table whose rows are chosen: home and end go to the first and last row, as in every list."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.binding import Binding
from textual.widgets import DataTable

if TYPE_CHECKING:
    from textual.binding import BindingType


class RowTable(DataTable[Text]):
    """Rows only; its cells are `Text`, so that nothing from outside is taken for markup."""

    DEFAULT_CSS = """
    RowTable { background: $background; scrollbar-size-horizontal: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("home", "scroll_top", "First row", show=False),
        Binding("end", "scroll_bottom", "Last row", show=False),
    ]

    def __init__(self, *, cell_padding: int = 1) -> None:
        super().__init__(cursor_type="row", zebra_stripes=False, cell_padding=cell_padding)
