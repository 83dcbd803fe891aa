"""The conversation on the screen: text that grows at its end, drawn with as little as possible.

Only what is in view is laid out, only the piece that grows is laid out again, and only rows that changed are
repainted; the view moves on by part of a page, since every scrolled line would repaint all rows.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar

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
from edgetui.widgets.transcript_lines import TranscriptLines
from edgetui.widgets.transcript_units import Look

if TYPE_CHECKING:
    from textual import events

    from edgetui.widgets.transcript_blocks import Block, BlockKind
    from edgetui.widgets.transcript_units import Unit


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
        self._lines = TranscriptLines(Look(80), self._want_colours)
        self._following = True
        self._moving = False
        """Whether the view is being moved from here and not by the person."""
        self._hint = WrappedText(self._lines.look.width)
        self._painted: dict[int, Row] = {}
        """What stands in each row of the view."""
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
        return not self._lines.blocks

    @property
    def line_count(self) -> int:
        """Rows of everything, blank ones between blocks included; far from the view they are estimated."""
        return self._lines.count

    @property
    def following(self) -> bool:
        """Whether the view moves on as text is added."""
        return self._following

    @property
    def shows_raw_text(self) -> bool:
        """Whether answers are shown as they were written."""
        return self._lines.look.raw

    @property
    def is_unfolded(self) -> bool:
        """Whether thinking and long prompts are shown in full."""
        return self._lines.look.unfolded

    def set_hint(self, text: str) -> None:
        """What stands here while nothing was said yet."""
        self._hint = WrappedText(self._lines.look.width, plain_text(text))
        self._repaint()

    def add_block(self, kind: BlockKind, text: str = "") -> None:
        """Begin a new block; `append` adds to it. The person's own words bring the view back to the end."""
        self._lines.add(kind, plain_text(text))
        if kind == "user":
            self._following, self._marked = True, None
        if not self._parser_wanted and self.is_attached:
            self.run_worker(self.prepare(), group="parser", exit_on_error=False)
        self._grow()
        self._lines.forget_far(self._top, self._rows)

    def append(self, text: str, tokens: int = 0) -> None:
        """Add text to the last block; `tokens`, how many it is, is told of thinking."""
        self._lines.blocks[-1].append(plain_text(text), self._lines.look, tokens)
        self._grow()

    def finish_block(self) -> None:
        """Nothing more is added to the last block: what waits for its end, such as a table, is laid out."""
        if self._lines.blocks:
            self._lines.blocks[-1].finish(self._lines.look)
            self._grow()

    def clear_blocks(self) -> None:
        """Begin anew."""
        self._lines.clear()
        self._marked = None
        self._uncoloured.clear()
        self._following = True
        self._set_height(0)
        self._scroll_to_line(0)
        self._repaint()

    def text_of(self, kind: BlockKind) -> list[str]:
        """Text of every block of a kind as it was written, in order."""
        return [block.text for block in self._lines.blocks if block.kind == kind]

    @property
    def last_answer(self) -> str:
        """The last answer as it was written, without its thinking; empty when there is none."""
        return next((block.answer for block in reversed(self._lines.blocks) if block.kind == "answer"), "")

    @property
    def marked_answer(self) -> int | None:
        """Which of the answers is marked, counted from 0."""
        answers = [block for block in self._lines.blocks if block.kind == "answer"]
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
            self._marked = [block for block in self._lines.blocks if block.kind == "answer"][index]
            self._following = False
            # Laid out, blocks are longer or shorter than was estimated, and it stands elsewhere.
            for _ in range(2):
                self._set_height(max(self.line_count, self._marked.first_line + self._rows))
                self._scroll_to_line(self._marked.first_line)
                self._lay_out_view()
        self._repaint()

    def show_raw_text(self, raw: bool) -> None:
        """Show answers as they were written, or as Markdown."""
        self._change_look(self._lines.look._replace(raw=raw))

    def unfold(self, unfolded: bool) -> None:
        """Show thinking and long prompts in full, or a row for each."""
        self._change_look(self._lines.look._replace(unfolded=unfolded))

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
        """Lay out anew and keep what the person looks at; Textual has painted all rows as they were before."""
        width = max(4, self.size.width - 1)
        if width != self._lines.look.width:
            self._hint.rewrap(width)
            self._change_look(self._lines.look._replace(width=width))
        elif self._following:
            self._go_to_end()
        self._lay_out_view()
        self._repaint()

    def watch_scroll_y(self, _old_value: float, new_value: float) -> None:
        """Follow again once the end of the text is in view."""
        if self._moving:
            return
        at_end = round(new_value) >= self.line_count - self._rows
        self._lay_out_view()
        self._following = at_end or self._top >= self.line_count - self._rows
        if self._following:
            self._lines.know_end(self._rows)
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

    def _lay_out_view(self) -> None:
        """Know every row in view; the rows stay where they are when what is above turns out longer or shorter."""
        while (shift := self._lines.know(self._top, self._rows)) is not None:
            self._set_height(max(self.line_count, self.virtual_size.height))
            if shift:
                self._scroll_to_line(self._top + shift)
        self._lines.forget_far(self._top, self._rows)

    # --- moving on ------------------------------------------------------------------------------------------

    def _grow(self) -> None:
        """Show what was added, moving on when it does not fit."""
        if self._following:
            self._lines.know_end(self._rows)
            if self.line_count > self._top + self._rows:
                # Room for more than is needed now: the view then stands still while that fills up.
                self._set_height(self.line_count + self._rows * 2 // 3)
                self._scroll_to_line(self.virtual_size.height - self._rows)
                self._lay_out_view()
            elif self.line_count <= self._top < self.virtual_size.height:
                self._go_to_end()
        else:
            self._lines.place(len(self._lines.blocks) - 1)
            self._set_height(max(self.line_count, self.virtual_size.height))
        self._repaint()

    def _go_to_end(self) -> None:
        self._lines.know_end(self._rows)
        self._set_height(max(self.line_count, self._rows))
        self._scroll_to_line(self.line_count - self._rows)

    def _change_look(self, look: Look) -> None:
        """Show everything otherwise, with the same text in the first row."""
        place = self._lines.first_of(self._top, self._rows)
        self._uncoloured.clear()
        self._lines.change_look(look)
        if self._following:
            self._go_to_end()
        elif place is not None:
            line = self._lines.line_of(place)
            self._set_height(max(self.line_count, self._rows))
            self._scroll_to_line(line)
        self._lay_out_view()
        self._repaint()

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
        if self._lines.blocks:
            row = self._lines.row_at(self._top + y)
        elif y < len(self._hint.lines):
            row = inked(self._hint.lines[y], ink.NOTE)
        if not self._following or self._marked is not None:
            row = (*row, (" " * (self._lines.look.width - row_cells(row)) + self._mark(y), 0))
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
        self.set_reactive(Widget.virtual_size, Size(self._lines.look.width, height))

    def _scroll_to_line(self, number: int) -> None:
        self._moving = True
        self.scroll_target_y = self.scroll_y = max(0, number)
        self._moving = False

    # --- work beside ----------------------------------------------------------------------------------------

    async def prepare(self) -> None:
        """Have the parser of Markdown imported before text comes: it takes a core for longer than a frame."""
        if not self._parser_wanted:
            self._parser_wanted = True
            await asyncio.to_thread(load_parser)

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
                piece, width, laid = unit.piece, self._lines.look.width - len(unit.prefixes[0]), unit.laid
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
