"""A table of Markdown as aligned rows."""

from __future__ import annotations

import re
from typing import Literal

from rich.cells import cell_len

from edgetui.core import ink
from edgetui.core.ink import Row, add_ink, row_cells
from edgetui.core.markdown_inline import inline_spans
from edgetui.core.markdown_pieces import cells_of
from edgetui.core.text_layout import lay_out_spans

_BREAK = re.compile(r"\s*<br ?/?>\s*", re.IGNORECASE)
_BETWEEN = " \N{BOX DRAWINGS LIGHT VERTICAL} "
_NARROWEST = 4
"""Cells of a column below which a table is better read as it was written."""

Align = Literal["left", "right", "middle"]


def table_rows(lines: list[str], width: int, has_head: bool) -> list[Row] | None:
    """Rows of at most `width` cells, long cells wrapped; None where there is no room for columns."""
    written = [cells_of(line) for line in lines]
    aligns: list[Align] = []
    if has_head:
        aligns = [_align(cell) for cell in written.pop(1)]
    count = len(written[0])
    cells = [[inline_spans(_BREAK.sub("\n", cell)) for cell in (row + [""] * count)[:count]] for row in written]
    wanted = [max(_width_of(row[column]) for row in cells) for column in range(count)]
    widths = _fit(wanted, width - len(_BETWEEN) * (count - 1))
    if widths is None:
        return None
    rows: list[Row] = []
    for number, row in enumerate(cells):
        laid = [lay_out_spans(cell, columns).rows for cell, columns in zip(row, widths, strict=True)]
        for index in range(max(len(cell) for cell in laid)):
            parts: list[ink.Span] = []
            for column, cell in enumerate(laid):
                if column:
                    parts.append((_BETWEEN, ink.FAINT))
                shown = cell[index] if index < len(cell) else ()
                align = aligns[column] if column < len(aligns) else "left"
                parts += _aligned(shown, widths[column], align, is_last=column == count - 1)
            rows.append(add_ink(tuple(parts), ink.BOLD) if has_head and number == 0 else tuple(parts))
        if has_head and number == 0:
            rule = "\N{BOX DRAWINGS LIGHT HORIZONTAL}"
            crossing = f"{rule}\N{BOX DRAWINGS LIGHT VERTICAL AND HORIZONTAL}{rule}"
            rows.append(((crossing.join(rule * columns for columns in widths), ink.FAINT),))
    return rows


def _width_of(spans: list[ink.Span]) -> int:
    text = "".join(part for part, _ in spans)
    return max(1, *(cell_len(line) for line in text.split("\n")))


def _fit(wanted: list[int], room: int) -> list[int] | None:
    """Widths of the columns: what is short keeps its own, the rest is shared by the long ones."""
    widths = [0] * len(wanted)
    left = sorted(range(len(wanted)), key=lambda column: wanted[column])
    while left:
        share = room // len(left)
        column = left.pop(0)
        widths[column] = min(wanted[column], share)
        room -= widths[column]
    too_narrow = any(have < min(need, _NARROWEST) for have, need in zip(widths, wanted, strict=True))
    return None if too_narrow else widths


def _align(cell: str) -> Align:
    if cell.endswith(":"):
        return "middle" if cell.startswith(":") else "right"
    return "left"


def _aligned(row: Row, width: int, align: Align, is_last: bool) -> Row:
    room = width - row_cells(row)
    before = {"left": 0, "right": room, "middle": room // 2}[align]
    after = 0 if is_last else room - before
    return (((" " * before, 0),) if before > 0 else ()) + row + (((" " * after, 0),) if after > 0 else ())
