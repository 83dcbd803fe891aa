"""Growing Markdown cut into pieces that can be laid out one by one, each for good once the next has begun.

A piece is a heading, a paragraph, one item of a list, a quote, a table, a rule or a block of code. Lines decide:
each is looked at once, so that a long answer costs no more a token than a short one.
"""

from __future__ import annotations

import re
from typing import Literal

PieceKind = Literal["paragraph", "item", "heading", "quote", "table", "rule", "code"]

MOST_CHARACTERS = 2_000
"""Longer pieces of prose are cut at a blank, as laying one out must not take a frame."""
MOST_CODE_LINES = 200
"""Longer blocks of code are cut at a line."""
MOST_LINE = 4_000
"""Longer lines of code are cut anywhere."""
MOST_TABLE = 8_000
"""Characters of a table that is laid out as one."""

_FENCE = re.compile(r"( *)(`{3,}|~{3,})([^`\n]*)$")
_HEADING = re.compile(r"#{1,6}(?:[ \t]|$)")
_RULE = re.compile(r"(?:-[ \t]*){3,}$|(?:\*[ \t]*){3,}$|(?:_[ \t]*){3,}$")
_UNDERLINE = re.compile(r"(?:=+|-+)[ \t]*$")
_ITEM = re.compile(r"( *)([-*+]|\d{1,9}[.)])(?:[ \t]+|$)")
_BEGINS_EARLY = re.compile(r" *(?:[-*+]|\d{1,9}[.)])[ \t]+\S|#{1,6}[ \t]+\S|>")
"""Lines of which it is known before their end what they begin."""
_DELIMITER_ROW = re.compile(r" *\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$")


class MarkdownPiece:
    """A stretch of the source that is laid out as one."""

    __slots__ = ("fence", "indent", "info", "kind", "opens", "source")

    def __init__(self, source: str = "", kind: PieceKind = "paragraph", indent: int = 0) -> None:
        self.source = source
        """As it was written, trailing blank lines included."""
        self.kind: PieceKind = kind
        self.indent = indent
        """Blanks before its first line that place it under an item of a list."""
        self.fence = ""
        """Of code: what a line must begin with to end it, for code that goes on from the piece before too."""
        self.info = ""
        """Of code: the words behind the opening fence."""
        self.opens = True
        """Of code: whether its first line is the fence; False where it goes on."""

    @property
    def is_followed_by_blank(self) -> bool:
        """Whether blank lines end it."""
        return self.source.endswith("\n\n")


class MarkdownSplitter:
    """Takes text as it comes; `pieces` grows, and only its last member still changes."""

    def __init__(self) -> None:
        self.pieces: list[MarkdownPiece] = []
        """In order; their sources together are the text."""
        self._line = ""
        """The line that has no end yet; the last piece ends with it."""
        self._placed = False
        """Whether that line has begun a piece."""
        self._begun_early = False
        """Whether it was looked at before its end."""
        self._previous = ""
        """The line before, when it belongs to the same piece."""
        self._after_blank = False
        self._closed = False
        """Whether the last piece is complete, so that any text begins another."""
        self._in_list = False
        self._lines = 0
        """Of the last piece."""

    def feed(self, text: str) -> None:
        """Add text."""
        if text and not self.pieces:
            self.pieces.append(MarkdownPiece())
        start = 0
        while (end := text.find("\n", start)) >= 0:
            self._add(text[start:end])
            self._end_line()
            start = end + 1
        self._add(text[start:])

    def finish(self) -> None:
        """Nothing more comes: a last line without end is a line too."""
        if self._line.strip() and (self.pieces[-1].kind != "code" or self._closed):
            self._classify(self._line, self._placed)

    # --- inside -------------------------------------------------------------------------------------------

    def _add(self, text: str) -> None:
        """More of the line that has no end yet."""
        if not text:
            return
        self._line += text
        piece = self.pieces[-1]
        piece.source += text
        if piece.kind == "code" and not self._closed:
            if len(self._line) > MOST_LINE:
                self._go_on(piece)
            return
        # What stands in the first column after a blank line begins something new, whatever it becomes.
        begins = self._closed or (self._after_blank and self._line[0] not in " \t")
        if begins and not self._placed and self._line.strip():
            self._cut_before_line()
        if not self._begun_early and _BEGINS_EARLY.match(self._line):
            self._begun_early = True
            self._classify(self._line, self._placed)
        piece = self.pieces[-1]
        limit = MOST_TABLE if piece.kind == "table" else MOST_CHARACTERS
        if len(piece.source) > limit and len(self._line) > 1 and not self._closed:
            self._cut_long()

    def _end_line(self) -> None:
        line, placed = self._line, self._placed
        piece = self.pieces[-1]
        if piece.kind == "code" and not self._closed:
            self._end_code_line(piece, line)
        elif not line.strip():
            piece.source += "\n"
            self._after_blank, self._previous = True, ""
        else:
            self._classify(line, placed)
            piece = self.pieces[-1]
            piece.source += "\n"
            self._after_blank, self._previous = False, line
            self._lines += 1
            self._closed = piece.kind in ("heading", "rule")
        self._line, self._placed, self._begun_early = "", False, False

    def _end_code_line(self, piece: MarkdownPiece, line: str) -> None:
        piece.source += "\n"
        self._lines += 1
        stripped = line.strip()
        if stripped.startswith(piece.fence) and not stripped.strip(piece.fence[0]):
            self._closed = True
            self._after_blank = False
        elif self._lines >= MOST_CODE_LINES:
            self._go_on(piece)

    def _classify(self, line: str, placed: bool) -> None:
        """Give a whole line to the piece that it belongs to, which may be a new one."""
        piece = self.pieces[-1]
        is_first = piece.source == line
        indent = len(line) - len(line.lstrip(" "))
        stripped = line.strip()
        fence = _FENCE.match(line)
        item = _ITEM.match(line)
        if fence is not None and (indent < 4 or self._in_list):
            self._cut_before_line()
            piece = self.pieces[-1]
            piece.kind, piece.indent, piece.fence, piece.info = "code", indent, fence[2], fence[3].strip()
        elif indent < 4 and _RULE.match(stripped) and (is_first or piece.kind != "paragraph" or stripped[0] != "-"):
            self._cut_before_line()
            self.pieces[-1].kind = "rule"
        elif item is not None and (
            is_first or placed or self._in_list or self._after_blank or item[2] in ("-", "*", "+", "1.", "1)")
        ):
            self._cut_before_line()
            self.pieces[-1].kind, self.pieces[-1].indent = "item", len(item[1])
            self._in_list = True
        elif _HEADING.match(line):
            self._cut_before_line()
            self.pieces[-1].kind = "heading"
            self._in_list = False
        elif line.startswith(">") and piece.kind != "quote":
            self._cut_before_line()
            self.pieces[-1].kind = "quote"
            self._in_list = False
        elif piece.kind == "paragraph" and not is_first and _UNDERLINE.match(line) and self._previous:
            piece.kind = "heading"
        elif (
            "|" in self._previous
            and piece.kind == "paragraph"
            and "|" in line
            and is_delimiter_row(line)
            and _columns(self._previous) == _columns(line)
        ):
            self._begin_table(line)
        elif self._after_blank and self._in_list and indent >= 2 and piece.source != line:
            self._cut_before_line()
            self.pieces[-1].indent = indent
        elif piece.source == line and indent == 0:
            self._in_list = False

    def _cut_before_line(self) -> None:
        """Begin a piece with the line under way, unless it is the only one of the last piece."""
        piece = self.pieces[-1]
        if piece.source != self._line:
            piece.source = piece.source[: len(piece.source) - len(self._line)]
            self._begin(self._line, "paragraph", 0)
        self._placed = True
        self._after_blank = self._closed = False

    def _begin_table(self, line: str) -> None:
        """The line before was a table's head, `line` is the rule below it."""
        piece = self.pieces[-1]
        head = self._previous + "\n" + line
        if piece.source != head:
            piece.source = piece.source[: len(piece.source) - len(head)]
            self._begin(head, "table", 0)
        else:
            piece.kind = "table"

    def _begin(self, source: str, kind: PieceKind, indent: int) -> None:
        self.pieces.append(MarkdownPiece(source, kind, indent))
        self._previous = ""
        self._lines = 0

    def _go_on(self, piece: MarkdownPiece) -> None:
        """Begin another piece of the same code."""
        self._begin("", "code", piece.indent)
        after = self.pieces[-1]
        after.fence, after.info, after.opens = piece.fence, piece.info, False
        self._line = ""

    def _cut_long(self) -> None:
        """Cut a piece that has grown too long, at the last blank if there is one."""
        piece = self.pieces[-1]
        cut = piece.source.rfind(" ", 0, len(piece.source) - 1) + 1
        line_start = len(piece.source) - len(self._line)
        if piece.kind in ("table", "quote") and line_start > 0:
            cut = line_start
        elif cut <= max(line_start, len(piece.source) // 2):
            cut = len(piece.source) - 1 if line_start < len(piece.source) // 2 else line_start
        rest, kind = piece.source[cut:], piece.kind
        piece.source = piece.source[:cut]
        indent = piece.indent
        self._begin(rest, "paragraph" if kind in ("item", "heading", "rule") else kind, indent)
        self._line = rest[max(0, line_start - cut) :]
        self._placed = self._begun_early = True


def is_delimiter_row(line: str) -> bool:
    """Whether a line parts a table's head from its body."""
    return "-" in line and _DELIMITER_ROW.match(line) is not None


def _columns(row: str) -> int:
    return len(cells_of(row))


def cells_of(row: str) -> list[str]:
    """Cells of a table's row; `\\|` does not part."""
    row = row.strip()
    row = row[1:] if row.startswith("|") else row
    cells = re.split(r"(?<!\\)\|", row)
    if len(cells) > 1 and not cells[-1].strip():
        cells.pop()
    return [cell.strip().replace("\\|", "|") for cell in cells]
