"""Which line of a transcript is where: blocks one under another, laid out only where they are looked at."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple

from edgetui.widgets.transcript_blocks import Block, BlockKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edgetui.core.ink import Row
    from edgetui.widgets.transcript_units import Look, Unit

_MOST_LAID = 400
"""Units whose rows are kept; more are laid out again when they come into view."""
_MOST_UNPACKED = 8
"""Blocks whose units are kept beside those in view; of older ones only the text is."""


class Place(NamedTuple):
    """What stands in a line, in terms that survive another width."""

    block: Block
    unit: Unit
    share: float
    """Of the unit's text before that line."""


class TranscriptLines:
    """Blocks with one blank line between them; far from what was looked at their heights are estimates.

    A view is told by its first line, `top`, and how many `rows` it has.
    """

    def __init__(self, look: Look, on_code: Callable[[Block, Unit], None]) -> None:
        """`on_code` is told of code that is looked at and has no colours yet."""
        self.blocks: list[Block] = []
        self.look = look
        self._on_code = on_code
        self._laid: list[Unit] = []
        self._unpacked: list[Block] = []
        """Blocks that have units, the one that was looked at last at the end."""

    @property
    def count(self) -> int:
        """All lines, blank ones between blocks included."""
        return self.blocks[-1].end_line if self.blocks else 0

    # --- what changes -------------------------------------------------------------------------------------

    def add(self, kind: BlockKind, text: str) -> None:
        """Begin a new block; nothing more comes to the one before."""
        if self.blocks:
            self.blocks[-1].finish(self.look)
        first_line = self.place(len(self.blocks) - 1) + 1 if self.blocks else 0
        block = Block(kind, text, self.look)
        block.first_line = first_line
        self.blocks.append(block)
        self._unpacked.append(block)

    def clear(self) -> None:
        """Begin anew."""
        self.blocks.clear()
        self._laid.clear()
        self._unpacked.clear()

    def change_look(self, look: Look) -> None:
        """Everything is shown otherwise, and estimated again."""
        self.look = look
        self._laid.clear()
        for block in self.blocks:
            block.change_look(look)
        if self.blocks:
            self.place(0)

    def place(self, index: int) -> int:
        """Count anew where blocks begin, from one on; returns the line after the last."""
        first_line = self.blocks[index].first_line
        for block in self.blocks[index:]:
            block.place()
            block.first_line = first_line
            first_line = block.end_line + 1
        return first_line - 1

    # --- what is where ------------------------------------------------------------------------------------

    def row_at(self, number: int) -> Row:
        """What a line shows; nothing between and after blocks."""
        index = bisect_right(self.blocks, number, key=lambda block: block.first_line) - 1
        if index < 0 or number >= self.blocks[index].end_line:
            return ()
        block = self.blocks[index]
        index = block.unit_at(number - block.first_line)
        if index < 0:
            return ()
        unit = block.units[index]
        rows = self._rows_of(block, unit)
        place = number - block.first_line - unit.first
        return rows[place] if place < len(rows) else ()

    def first_of(self, top: int, rows: int) -> Place | None:
        """What is in the first line of a view; None above the first text."""
        for index, unit in self._in_view(top, rows):
            block = self.blocks[index]
            row = top - block.first_line - unit.first
            if unit.height == 0:
                continue
            laid = block.rows_of(unit, self.look)
            share = laid.starts[row] / max(1, len(unit.source)) if 0 < row < len(laid.starts) else 0.0
            return Place(block, unit, share)
        return None

    def line_of(self, place: Place) -> int:
        """Where it stands now."""
        block, unit = place.block, place.unit
        laid = block.rows_of(unit, self.look)
        self.place(self.blocks.index(block))
        row = bisect_right(laid.starts, place.share * max(1, len(unit.source))) - 1 if place.share else 0
        return block.first_line + unit.first + max(0, row)

    # --- laying out ---------------------------------------------------------------------------------------

    def know(self, top: int, rows: int) -> int | None:
        """Lay out what is in view; None once all of it was, else by how many lines what is above grew.

        Lines may have moved then, and others be in view: ask again.
        """
        known, shift, first_index = True, 0, len(self.blocks)
        for index in self._blocks_in_view(top, rows):
            block = self.blocks[index]
            height = block.height
            if self._unpack(block):
                known, first_index = False, min(first_index, index)
                shift += block.height - height if block.first_line < top else 0
        for index, unit in self._in_view(top, rows) if known else ():
            if unit.known:
                continue
            height = unit.height
            block = self.blocks[index]
            self._rows_of(block, unit)
            if unit.height != height:
                known = False
                first_index = min(first_index, index)
                if block.first_line + unit.first < top:
                    shift += unit.height - height
        if known:
            return None
        self.place(first_index)
        return shift

    def know_end(self, rows: int) -> None:
        """Lay out the end, as much as may be in view."""
        if not self.blocks:
            return
        wanted = rows * 2
        for index in range(len(self.blocks) - 1, -1, -1):
            block = self.blocks[index]
            self._unpack(block)
            for unit in reversed(block.units):
                if not unit.known:
                    self._rows_of(block, unit)
                wanted -= unit.height
                if wanted <= 0:
                    break
            if wanted <= 0:
                break
        self.place(index)

    def forget_far(self, top: int, rows: int) -> None:
        """Keep no more rows and units than may soon be looked at."""
        if len(self._unpacked) > 2 * _MOST_UNPACKED:
            in_view = [self.blocks[index] for index in self._blocks_in_view(top, rows)]
            far = [block for block in self._unpacked[:-_MOST_UNPACKED] if block not in in_view]
            self._unpacked = [block for block in self._unpacked if block not in far]
            gone = {id(unit) for block in far for unit in block.units}
            self._laid = [unit for unit in self._laid if id(unit) not in gone]
            for block in far:
                block.pack()
        if len(self._laid) > _MOST_LAID:
            seen = {id(unit) for _, unit in self._in_view(top, rows)}
            near = [unit for unit in self._laid if id(unit) in seen]
            for unit in self._laid:
                if id(unit) not in seen:
                    unit.laid, unit.coloured = None, False
            self._laid = near

    def _rows_of(self, block: Block, unit: Unit) -> list[Row]:
        if unit.laid is None:
            self._laid.append(unit)
        laid = block.rows_of(unit, self.look)
        piece = unit.piece
        if piece is not None and piece.kind == "code" and not unit.coloured and not self.look.raw:
            self._on_code(block, unit)
        return laid.rows

    def _unpack(self, block: Block) -> bool:
        unpacked = block.unpack(self.look)
        if unpacked:
            self._unpacked.append(block)
        return unpacked

    def _blocks_in_view(self, top: int, rows: int) -> Iterator[int]:
        """Indices of blocks that have a row in the view."""
        index = max(0, bisect_right(self.blocks, top, key=lambda block: block.first_line) - 1)
        while index < len(self.blocks) and self.blocks[index].first_line < top + rows:
            yield index
            index += 1

    def _in_view(self, top: int, rows: int) -> Iterator[tuple[int, Unit]]:
        """Units that have a row in the view, with the index of their block."""
        for index in self._blocks_in_view(top, rows):
            block = self.blocks[index]
            place = max(0, block.unit_at(max(0, top - block.first_line)))
            while place < len(block.units) and block.first_line + block.units[place].first < top + rows:
                yield index, block.units[place]
                place += 1
