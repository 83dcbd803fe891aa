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


def changed_cells(before: Row, after: Row) -> tuple[int, int] | None:
    """First cell in which two rows differ and the one after the last that either has; None for equal rows."""
    if before == after:
        return None
    first = 0
    for (old, old_ink), (new, new_ink) in zip(before, after, strict=False):
        if old_ink != new_ink:
            break
        if old != new:
            first += _equal_cells(old, new)
            break
        first += cell_len(old)
    return first, max(row_cells(before), row_cells(after))


def _equal_cells(old: str, new: str) -> int:
    """Cells of the start that two texts share; none of a text whose characters may combine."""
    length = min(len(old), len(new))
    if not (old.isascii() and new.isascii()):
        return 0
    return next((index for index in range(length) if old[index] != new[index]), length)
