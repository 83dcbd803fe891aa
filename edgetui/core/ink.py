"""How a stretch of text is drawn, as one number: what it means, not which colour; and rows made of such stretches."""

from __future__ import annotations

from rich.cells import cell_len

BOLD, ITALIC, STRIKE, CODE, LINK, HEADING, FAINT, USER, NOTE, THOUGHT = (1 << bit for bit in range(10))
KEYWORD, NAME, STRING, NUMBER, COMMENT = (kind << 10 for kind in range(1, 6))
"""Of code; one at a time, beside the bits above."""
CODE_KINDS = 7 << 10
"""Mask of those."""

Span = tuple[str, int]
"""A text and its ink."""
Row = tuple[Span, ...]
"""What one row of the screen shows, without line ends."""


def row_text(row: Row) -> str:
    """What a row says."""
    return "".join(text for text, _ in row)


def row_cells(row: Row) -> int:
    """Cells that a row takes."""
    return sum(cell_len(text) for text, _ in row)


def inked(text: str, ink: int = 0) -> Row:
    """A row in one ink; an empty text makes an empty row."""
    return ((text, ink),) if text else ()


def add_ink(row: Row, ink: int) -> Row:
    """The same row with more ink."""
    return tuple((text, own | ink) for text, own in row)
