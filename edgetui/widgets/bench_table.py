"""The table of measured rows: marks, llama-bench's columns, energy where any row has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text
from textual.coordinate import Coordinate

from edgetui.core.bench_noise import noise_of
from edgetui.core.bench_table import ENERGY_HEADING, table
from edgetui.widgets.row_table import RowTable

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from edgetui.core.bench import BenchRecord

_FIRST = ("model", "test", "t/s", ENERGY_HEADING, "type", "threads", "kv")
"""What people look for, where 80 cells still show it; the other columns follow in their own order."""
MARKED, NOISY, SLOWER = "*", "!", "v"


class BenchTable(RowTable):
    """`*` is a marked row, `!` one measured on a noisy machine, `v` one slower than those before it."""

    def __init__(self) -> None:
        super().__init__()
        self.records: Sequence[BenchRecord] = ()
        """Those shown, from the top."""
        self._marked: Collection[int] = ()
        self._slower: Collection[int] = ()
        self._headings: list[str] = []

    @property
    def current(self) -> BenchRecord | None:
        """The row under the cursor."""
        return self.records[self.cursor_row] if 0 <= self.cursor_row < len(self.records) else None

    def show(self, records: Sequence[BenchRecord], marked: Collection[int], slower: Collection[int]) -> None:
        """Replace the rows; the cursor stays on its record."""
        current = self.current
        self.records, self._marked, self._slower = records, frozenset(marked), slower
        headings, *rows = table(records)
        names = [name for name in _FIRST if name in headings]
        names += [name for name in headings if name not in names]
        places = [headings.index(name) for name in names]
        self.clear(columns=names != self._headings)
        if names != self._headings:
            self._headings = names
            self.add_columns("", *names)
        for record, cells in zip(records, rows, strict=True):
            self.add_row(self._sign(record), *(Text(cells[place]) for place in places))
        for number, record in enumerate(records):
            if current is not None and record.record_id == current.record_id:
                self.move_cursor(row=number)

    def mark(self, marked: Collection[int]) -> None:
        """Change the marks."""
        before, self._marked = self._marked, frozenset(marked)
        for number, record in enumerate(self.records):
            if (record.record_id in before) != (record.record_id in marked):
                self.update_cell_at(Coordinate(number, 0), self._sign(record))

    def _sign(self, record: BenchRecord) -> Text:
        number = record.record_id
        signs = MARKED if number in self._marked else " "
        signs += NOISY if noise_of(record.row) else ""
        return Text(signs + (SLOWER if number in self._slower else ""))
