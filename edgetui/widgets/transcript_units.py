"""What a block of a transcript is cut into: units, laid out only where they are looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from edgetui.core import ink
from edgetui.core.ink import add_ink, inked
from edgetui.core.markdown_layout import lay_out
from edgetui.core.text_layout import Laid, lay_out_plain

if TYPE_CHECKING:
    from edgetui.core.ink import Row
    from edgetui.core.markdown_pieces import MarkdownPiece

UnitRole = Literal["text", "mark", "end", "fold", "size"]
"""Written text; a mark before thinking, which only the raw text shows; the one behind it, else a blank row; the row
that stands for thinking; the one that says how long a prompt is."""


class Look(NamedTuple):
    """How everything is shown."""

    width: int
    raw: bool = False
    """As it was written, instead of as Markdown."""
    unfolded: bool = False
    """Thinking and long prompts in full."""


class Unit:
    """A stretch of a block that is laid out as one."""

    __slots__ = ("coloured", "first", "folds", "height", "ink", "known", "laid", "piece", "prefixes", "role", "text")

    def __init__(
        self,
        piece: MarkdownPiece | None,
        text: str = "",
        prefixes: tuple[str, str] = ("", ""),
        own_ink: int = 0,
        folds: bool = False,
        role: UnitRole = "text",
    ) -> None:
        self.piece = piece
        """Markdown, or None for plain text."""
        self.text = text
        """Plain text."""
        self.prefixes = prefixes
        self.ink = own_ink
        self.folds = folds
        """Whether it is hidden while things are folded."""
        self.role = role
        self.height = 0
        """Rows; an estimate unless `known`."""
        self.first = 0
        """Its first row, counted from the block's."""
        self.known = False
        self.laid: Laid | None = None
        """Kept while it is looked at."""
        self.coloured = False
        """Whether the colours of its code were asked for."""

    @property
    def source(self) -> str:
        """What was written."""
        return self.piece.source if self.piece is not None else self.text

    def is_hidden(self, look: Look) -> bool:
        """Whether it takes no rows."""
        if self.role == "mark":
            return not look.raw
        if self.role == "fold":
            return look.raw
        if look.raw and self.ink & ink.THOUGHT:
            return False
        return self.folds and not look.unfolded

    def estimate(self, look: Look) -> None:
        """Forget the rows; guess how many there are."""
        self.laid, self.known, self.coloured = None, False, False
        if self.is_hidden(look):
            self.height, self.known = 0, True
            return
        width = max(1, look.width - len(self.prefixes[0]))
        self.height = sum(max(1, -(-len(line) // width)) for line in self.source.rstrip("\n").split("\n"))

    def lay_out(self, look: Look, grows: bool, is_last: bool) -> Laid:
        """Its rows, and from then on its true height; `grows` when more of it may come."""
        if self.laid is not None and self.known:
            return self.laid
        if self.is_hidden(look):
            laid = Laid([], [])
        elif self.role == "end" and not look.raw:
            laid = Laid([], []) if is_last else Laid([()], [0])
        else:
            prefix = ("", "") if look.raw and self.ink & ink.THOUGHT else self.prefixes
            width = max(1, look.width - len(prefix[0]))
            if self.piece is not None and not look.raw:
                laid = lay_out(self.piece, width, grows)
                if self.piece.is_followed_by_blank and not is_last and laid.rows:
                    laid = Laid([*laid.rows, ()], [*laid.starts, len(self.piece.source)])
            else:
                # The line end that parts it from the next unit is no line of its own.
                source = self.source
                laid = lay_out_plain(source if is_last or not source.endswith("\n") else source[:-1], width)
            laid = _decorated(laid, prefix, self.ink)
        self.laid, self.known, self.height = laid, True, len(laid.rows)
        return laid


def _decorated(laid: Laid, prefixes: tuple[str, str], own_ink: int) -> Laid:
    if not own_ink and not prefixes[0]:
        return laid
    first, rest = inked(prefixes[0], own_ink), inked(prefixes[1], own_ink)
    rows: list[Row] = [(rest if number else first) + add_ink(row, own_ink) for number, row in enumerate(laid.rows)]
    return Laid(rows, laid.starts)
