"""Models as rows of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.text import Text

from edgetui.core.plain_text import plain_line
from edgetui.core.units import MISSING, format_bytes, format_count
from edgetui.widgets.row_table import RowTable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetui.core.models import ModelEntry

_COLUMNS = ("Name", "Type", "Params", "Size", "bpw", "Context", "Arch", "Source", "Made of")


class ModelTable(RowTable):
    """A row for each model, columns as wide as they need."""

    def show(self, entries: Sequence[ModelEntry], *, most_name: int) -> None:
        """These models and no others; a name takes at most `most_name` cells."""
        self.clear(columns=True)
        rows = [_cells(entry, most_name) for entry in entries]
        # Widths that the table would find out itself cost it most of its time.
        for place, column in enumerate(_COLUMNS):
            width = max((cell.cell_len for cell in (row[place] for row in rows)), default=0)
            self.add_column(column, width=max(width, len(column)))
        for row in rows:
            self.add_row(*row)


def _cells(entry: ModelEntry, most: int) -> tuple[Text, ...]:
    """A row; `Text` so that nothing in a file's own words is taken for markup."""
    bits = entry.bits_per_weight
    name = f"! {entry.name}" if entry.problem else f"* {entry.name}" if entry.marks.is_favourite else entry.name
    name = plain_line(name)
    if cell_len(name) > most:
        # Of a long name the end tells more: a repository's stands before a file's.
        while cell_len(name) > most - 2:
            name = name[1:]
        name = f"..{name}"
    kind = entry.quant_type or (MISSING if entry.is_read else "...")
    if entry.recovered_from:
        kind += f" ({entry.recovered_from})"
    return (
        Text(name),
        Text(plain_line(kind)),
        Text(format_count(entry.parameter_count), justify="right"),
        Text(MISSING if entry.endpoint is not None else format_bytes(entry.size_bytes), justify="right"),
        Text(f"{bits:.2f}" if bits else MISSING, justify="right"),
        Text(str(entry.context_length or MISSING), justify="right"),
        Text(plain_line(entry.architecture or MISSING)),
        Text(plain_line(entry.repo or entry.source)),
        Text(plain_line(entry.parent or MISSING)),
    )
