"""The conversation on the screen: text that grows at its end, drawn with as little as possible.

Only what is in view is laid out, only the piece that grows is laid out again, and only rows that changed are
repainted; the view moves on by part of a page, since every scrolled line would repaint all rows.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from rich.segment import Segment
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from edgetui.core import ink
from edgetui.core.code_colours import coloured_code, language_of
from edgetui.core.ink import Row, inked, row_cells
from edgetui.core.markdown_inline import load_parser
from edgetui.core.markdown_layout import code_of, lay_out_code
from edgetui.core.plain_text import plain_text
from edgetui.core.text_wrap import WrappedText
from edgetui.widgets.ink_styles import INK_CLASSES, INK_CSS, InkStyles
from edgetui.widgets.transcript_blocks import Block, BlockKind
from edgetui.widgets.transcript_units import Look, Unit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from textual import events

_MOST_LAID = 400
"""Units whose rows are kept; more are laid out again when they come into view."""
_MOST_UNPACKED = 8
"""Blocks whose units are kept beside those in view; of older ones only the text is."""


class _Place(NamedTuple):
    """What stands in the first row of the view, in terms that survive another width."""

    block: Block
    unit: Unit
    share: float
    """Of the unit's text before that row."""


class Transcript(ScrollView, can_focus=True):
    """Blocks of text, one blank line between them; follows its end until the person scrolls back.

    Answers are shown as Markdown, their thinking folded. Scrolled back, it shows in its last column where in the
    conversation it is. A scrollbar of Textual's would be painted anew, beside a whole layout, each time the view
    moves on.
    """

    DEFAULT_CSS = (
        """
    Transcript {
        width: 1fr; height: 1fr; overflow-x: hidden; overflow-y: scroll; scrollbar-size: 0 0;
        background: $background; color: $foreground;
    """
        + INK_CSS
        + "}"
    )
    COMPONENT_CLASSES: ClassVar[set[str]] = INK_CLASSES
    ALLOW_SELECT = False

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self._blocks: list[Block] = []
        self._look = Look(80)
        self._following = True
        self._moving = False
        """Whether the view is being moved from here and not by the person."""
        self._hint = WrappedText(self._look.width)
        self._painted: dict[int, Row] = {}
        """What stands in each row of the view."""
        self._laid: list[Unit] = []
        self._unpacked: list[Block] = []
        """Blocks that have units, the one that was looked at last at the end."""
        self._styles = InkStyles(self)
        self._uncoloured: list[tuple[Block, Unit]] = []
        self._colouring = False
        self._parser_wanted = False
        self._marked: Block | None = None
        """The answer that is looked at."""

    # --- content ------------------------------------------------------------------------------------------

    @property
    def is_empty(self) -> bool:
        """Whether nothing was said yet."""
        return not self._blocks

    @property
    def line_count(self) -> int:
        """Rows of everything, blank ones between blocks included; far from the view they are estimated."""
        return self._blocks[-1].end_line if self._blocks else 0

    @property
    def following(self) -> bool:
        """Whether the view moves on as text is added."""
        return self._following

    @property
    def shows_raw_text(self) -> bool:
        """Whether answers are shown as they were written."""
        return self._look.raw

    @property
    def is_unfolded(self) -> bool:
        """Whether thinking and long prompts are shown in full."""
        return self._look.unfolded

    def set_hint(self, text: str) -> None:
        """What stands here while nothing was said yet."""
        self._hint = WrappedText(self._look.width, plain_text(text))
        self._repaint()

    def add_block(self, kind: BlockKind, text: str = "") -> None:
        """Begin a new block; `append` adds to it. The person's own words bring the view back to the end."""
        if self._blocks:
            self._blocks[-1].finish(self._look)
        first_line = self._place_blocks(len(self._blocks) - 1) + 1 if self._blocks else 0
        block = Block(kind, plain_text(text), self._look)
        block.first_line = first_line
        self._blocks.append(block)
        self._unpacked.append(block)
        if kind == "user":
            self._following, self._marked = True, None
        self.prepare()
        self._grow()
        self._forget_far()

    def append(self, text: str, tokens: int = 0) -> None:
        """Add text to the last block; `tokens`, how many it is, is told of thinking."""
        self._blocks[-1].append(plain_text(text), self._look, tokens)
        self._grow()

    def finish_block(self) -> None:
        """Nothing more is added to the last block: what waits for its end, such as a table, is laid out."""
        if self._blocks:
            self._blocks[-1].finish(self._look)
            self._grow()

    def clear_blocks(self) -> None:
        """Begin anew."""
        self._blocks.clear()
        self._marked = None
        self._laid.clear()
        self._unpacked.clear()
        self._uncoloured.clear()
        self._following = True
        self._set_height(0)
        self._scroll_to_line(0)
        self._repaint()

    def text_of(self, kind: BlockKind) -> list[str]:
        """Text of every block of a kind as it was written, in order."""
        return [block.text for block in self._blocks if block.kind == kind]

    @property
    def last_answer(self) -> str:
        """The last answer as it was written, without its thinking; empty when there is none."""
        return next((block.answer for block in reversed(self._blocks) if block.kind == "answer"), "")

    @property
    def marked_answer(self) -> int | None:
        """Which of the answers is marked, counted from 0."""
        answers = [block for block in self._blocks if block.kind == "answer"]
        return answers.index(self._marked) if self._marked in answers else None

    def mark_answer(self, index: int | None) -> None:
        """Mark an answer in the last column and bring its first row to the top; None goes back to the end."""
        if index is None:
            if self._marked is not None:
                self._marked = None
                self._following = True
                self._go_to_end()
                self._lay_out_view()
        else:
            self._marked = [block for block in self._blocks if block.kind == "answer"][index]
            self._following = False
            # Laid out, blocks are longer or shorter than was estimated, and it stands elsewhere.
            for _ in range(2):
                self._set_height(max(self.line_count, self._marked.first_line + self._rows))
                self._scroll_to_line(self._marked.first_line)
                self._lay_out_view()
        self._repaint()

    def show_raw_text(self, raw: bool) -> None:
        """Show answers as they were written, or as Markdown."""
        self._change_look(self._look._replace(raw=raw))

    def unfold(self, unfolded: bool) -> None:
        """Show thinking and long prompts in full, or a row for each."""
        self._change_look(self._look._replace(unfolded=unfolded))

    # --- drawing ------------------------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        """One row of the view."""
        row = self._painted[y] = self._wanted(y)
        styles = self._styles
        # As few segments as there are inks: each costs its style's control sequence.
        segments = [Segment(text, styles[own]) for text, own in row]
        return Strip(segments).adjust_cell_length(self.size.width, styles[0])

    def notify_style_update(self) -> None:
        """Textual's word that the theme changed."""
        self._styles.forget()
        super().notify_style_update()

    def on_resize(self, _event: events.Resize) -> None:
        """Lay out anew and keep what the person looks at."""
        self._painted.clear()
        width = max(4, self.size.width - 1)
        if width != self._look.width:
            self._hint.rewrap(width)
            self._change_look(self._look._replace(width=width))
        elif self._following:
            self._go_to_end()
        self._lay_out_view()
        self.refresh()

    def watch_scroll_y(self, _old_value: float, new_value: float) -> None:
        """Follow again once the end of the text is in view."""
        if self._moving:
            return
        at_end = round(new_value) >= self.line_count - self._rows
        self._lay_out_view()
        self._following = at_end or self._top >= self.line_count - self._rows
        if self._following:
            self._end_known()
            if self.line_count > self._top + self._rows:
                self._go_to_end()
                self._lay_out_view()
        self._repaint()

    # --- where things are -----------------------------------------------------------------------------------

    @property
    def _rows(self) -> int:
        return max(1, self.size.height)

    @property
    def _top(self) -> int:
        return round(self.scroll_y)

    def _block_of(self, number: int) -> Block | None:
        """The block that a line belongs to; None for lines between and after blocks."""
        index = bisect_right(self._blocks, number, key=lambda block: block.first_line) - 1
        if index < 0 or number >= self._blocks[index].end_line:
            return None
        return self._blocks[index]

    def _row_at(self, number: int) -> Row:
        block = self._block_of(number)
        if block is None:
            return ()
        index = block.unit_at(number - block.first_line)
        if index < 0:
            return ()
        unit = block.units[index]
        rows = self._rows_of(block, unit)
        place = number - block.first_line - unit.first
        return rows[place] if place < len(rows) else ()

    def _rows_of(self, block: Block, unit: Unit) -> list[Row]:
        if unit.laid is None:
            self._laid.append(unit)
        laid = block.rows_of(unit, self._look)
        piece = unit.piece
        if piece is not None and piece.kind == "code" and not unit.coloured and not self._look.raw:
            self._want_colours(block, unit)
        return laid.rows

    def _unpack(self, block: Block) -> bool:
        unpacked = block.unpack(self._look)
        if unpacked:
            self._unpacked.append(block)
        return unpacked

    def _blocks_in_view(self, top: int) -> Iterator[int]:
        """Indices of blocks that have a row in the view."""
        index = max(0, bisect_right(self._blocks, top, key=lambda block: block.first_line) - 1)
        while index < len(self._blocks) and self._blocks[index].first_line < top + self._rows:
            yield index
            index += 1

    def _in_view(self, top: int) -> Iterator[tuple[int, Unit]]:
        """Units that have a row in the view, with the index of their block."""
        for index in self._blocks_in_view(top):
            block = self._blocks[index]
            place = max(0, block.unit_at(max(0, top - block.first_line)))
            while place < len(block.units) and block.first_line + block.units[place].first < top + self._rows:
                yield index, block.units[place]
                place += 1

    def _place_blocks(self, index: int) -> int:
        """Count anew where blocks begin, from one on; returns the line after the last."""
        first_line = self._blocks[index].first_line
        for block in self._blocks[index:]:
            block.place()
            block.first_line = first_line
            first_line = block.end_line + 1
        return first_line - 1

    def _lay_out_view(self) -> None:
        """Know every row in view; the rows stay where they are when what is above turns out longer or shorter."""
        known = False
        while not known:
            known, shift, first_index = True, 0, len(self._blocks)
            top = self._top
            for index in self._blocks_in_view(top):
                block = self._blocks[index]
                height = block.height
                if self._unpack(block):
                    known, first_index = False, min(first_index, index)
                    shift += block.height - height if block.first_line < top else 0
            for index, unit in self._in_view(top) if known else ():
                if unit.known:
                    continue
                height = unit.height
                block = self._blocks[index]
                self._rows_of(block, unit)
                if unit.height != height:
                    known = False
                    first_index = min(first_index, index)
                    if block.first_line + unit.first < top:
                        shift += unit.height - height
            if not known:
                self._place_blocks(first_index)
                self._set_height(max(self.line_count, self.virtual_size.height))
                if shift:
                    self._scroll_to_line(top + shift)
        self._forget_far()

    def _end_known(self) -> None:
        """Know the rows of the end, as many as may be in view."""
        if not self._blocks:
            return
        wanted = self._rows * 2
        for index in range(len(self._blocks) - 1, -1, -1):
            block = self._blocks[index]
            self._unpack(block)
            for unit in reversed(block.units):
                if not unit.known:
                    self._rows_of(block, unit)
                wanted -= unit.height
                if wanted <= 0:
                    break
            if wanted <= 0:
                break
        self._place_blocks(index)

    def _forget_far(self) -> None:
        """Keep no more rows and units than may soon be looked at."""
        if len(self._unpacked) > 2 * _MOST_UNPACKED:
            in_view = [self._blocks[index] for index in self._blocks_in_view(self._top)]
            far = [block for block in self._unpacked[:-_MOST_UNPACKED] if block not in in_view]
            self._unpacked = [block for block in self._unpacked if block not in far]
            gone = {id(unit) for block in far for unit in block.units}
            self._laid = [unit for unit in self._laid if id(unit) not in gone]
            for block in far:
                block.pack()
        if len(self._laid) > _MOST_LAID:
            seen = {id(unit) for _, unit in self._in_view(self._top)}
            near = [unit for unit in self._laid if id(unit) in seen]
            for unit in self._laid:
                if id(unit) not in seen:
                    unit.laid, unit.coloured = None, False
            self._laid = near

    # --- moving on ------------------------------------------------------------------------------------------

    def _grow(self) -> None:
        """Show what was added, moving on when it does not fit."""
        if self._following:
            self._end_known()
            if self.line_count > self._top + self._rows:
                # Room for more than is needed now: the view then stands still while that fills up.
                self._set_height(self.line_count + self._rows * 2 // 3)
                self._scroll_to_line(self.virtual_size.height - self._rows)
                self._lay_out_view()
            elif self.line_count <= self._top < self.virtual_size.height:
                self._go_to_end()
        else:
            self._place_blocks(len(self._blocks) - 1)
            self._set_height(max(self.line_count, self.virtual_size.height))
        self._repaint()

    def _go_to_end(self) -> None:
        self._end_known()
        self._set_height(max(self.line_count, self._rows))
        self._scroll_to_line(self.line_count - self._rows)

    def _change_look(self, look: Look) -> None:
        """Show everything otherwise, with the same text in the first row."""
        place = self._place()
        self._look = look
        self._laid.clear()
        self._uncoloured.clear()
        for block in self._blocks:
            block.change_look(look)
        if self._blocks:
            self._place_blocks(0)
        if self._following:
            self._go_to_end()
        elif place is not None:
            self._return_to(place)
        self._lay_out_view()
        self._repaint()

    def _place(self) -> _Place | None:
        """What is in the first row of the view; None above the first text."""
        for index, unit in self._in_view(self._top):
            block = self._blocks[index]
            row = self._top - block.first_line - unit.first
            if unit.height == 0:
                continue
            laid = block.rows_of(unit, self._look)
            share = laid.starts[row] / max(1, len(unit.source)) if 0 < row < len(laid.starts) else 0.0
            return _Place(block, unit, share)
        return None

    def _return_to(self, place: _Place) -> None:
        block, unit = place.block, place.unit
        laid = block.rows_of(unit, self._look)
        self._place_blocks(self._blocks.index(block))
        self._set_height(max(self.line_count, self._rows))
        row = bisect_right(laid.starts, place.share * max(1, len(unit.source))) - 1 if place.share else 0
        self._scroll_to_line(block.first_line + unit.first + max(0, row))

    def _repaint(self) -> None:
        """Repaint the rows that differ from what stands there, as far as either has text."""
        for y in range(self._rows):
            painted = self._painted.get(y)
            if painted is None:
                self.refresh(Region(0, y, self.size.width, 1))
            elif (wanted := self._wanted(y)) != painted:
                # From the row's beginning: Textual cuts off only what is right of a region.
                self.refresh(Region(0, y, max(row_cells(painted), row_cells(wanted)), 1))

    def _wanted(self, y: int) -> Row:
        row: Row = ()
        if self._blocks:
            row = self._row_at(self._top + y)
        elif y < len(self._hint.lines):
            row = inked(self._hint.lines[y], ink.NOTE)
        if not self._following or self._marked is not None:
            row = (*row, (" " * (self._look.width - row_cells(row)) + self._mark(y), 0))
        return row

    def _mark(self, y: int) -> str:
        """The last column of a row while scrolled back: `<` beside a marked answer, else where the view is."""
        if self._marked is not None and self._marked.first_line <= self._top + y < self._marked.end_line:
            return "<"
        first = self._top * self._rows // self.line_count
        last = (self._top + self._rows) * self._rows // self.line_count
        return "#" if first <= y <= last else "|"

    def _set_height(self, height: int) -> None:
        # What could be scrolled to concerns nobody else: no layout.
        self.set_reactive(Widget.virtual_size, Size(self._look.width, height))

    def _scroll_to_line(self, number: int) -> None:
        self._moving = True
        self.scroll_target_y = self.scroll_y = max(0, number)
        self._moving = False

    # --- work beside ----------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Have the parser of Markdown imported before text comes: it takes a core for longer than a frame."""
        if not self._parser_wanted and self.is_attached:
            self._parser_wanted = True
            self.run_worker(load_parser, thread=True, group="parser", exit_on_error=False)

    def _want_colours(self, block: Block, unit: Unit) -> None:
        """Have complete code coloured in a thread; until then it is there in one ink."""
        piece = unit.piece
        assert piece is not None
        if block.is_growing(unit):
            return
        unit.coloured = True
        if language_of(piece.info) and not self.app.no_color:
            self._uncoloured.append((block, unit))
            if not self._colouring:
                self._colouring = True
                self.run_worker(self._colour(), group="colours", exit_on_error=False)

    async def _colour(self) -> None:
        try:
            while self._uncoloured:
                _, unit = self._uncoloured.pop()
                piece, width, laid = unit.piece, self._look.width - len(unit.prefixes[0]), unit.laid
                assert piece is not None
                spans = await asyncio.to_thread(coloured_code, code_of(piece), language_of(piece.info))
                # It may have been forgotten, or laid out otherwise, meanwhile.
                if spans is not None and laid is not None and unit.laid is laid:
                    rows = lay_out_code(piece, width, spans).rows
                    if not unit.ink and len(rows) <= len(laid.rows):
                        laid.rows[: len(rows)] = rows
                        self._repaint()
        finally:
            self._colouring = False
