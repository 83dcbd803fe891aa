"""Pieces of Markdown as rows of the screen, at a width."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from edgetui.core import ink
from edgetui.core.ink import Row, inked
from edgetui.core.markdown_inline import inline_spans
from edgetui.core.markdown_pieces import MarkdownPiece, MarkdownSplitter, is_delimiter_row
from edgetui.core.markdown_table import table_rows
from edgetui.core.text_layout import Laid, lay_out_plain, lay_out_spans
from edgetui.core.text_wrap import TAB_CELLS

if TYPE_CHECKING:
    from collections.abc import Sequence

_ITEM_SIGN = re.compile(r" *(?:([-*+])|(\d{1,9}[.)]))(?:[ \t]+|$)")
_TASK = re.compile(r"\[([ xX])\][ \t]+")
_HEADING_SIGN = re.compile(r"(#{1,6})[ \t]*(.*?)[ \t]*#*[ \t]*$", re.DOTALL)
_QUOTE_SIGN = re.compile(r" {0,3}> ?")
_UNDERLINE = re.compile(r"\n(=+|-+)[ \t]*$")
_MOST_INDENT = 16
_DEEPEST_QUOTE = 4
"""Quotes within quotes are shown as such so far."""


def lay_out(piece: MarkdownPiece, width: int, growing: bool = False, depth: int = 0) -> Laid:
    """Rows of at most `width` cells; `growing` when more of the piece may come."""
    indent = min(piece.indent, _MOST_INDENT, width // 2)
    margin = inked(" " * indent)
    inside = max(1, width - indent)
    source = piece.source.rstrip("\n")
    if not source.strip():
        return Laid([], [])
    if piece.kind == "code":
        return lay_out_code(piece, width)
    if piece.kind == "table":
        laid = lay_out_plain(source, inside) if growing else _table(source, inside)
    elif piece.kind == "rule":
        laid = Laid([inked("\N{BOX DRAWINGS LIGHT HORIZONTAL}" * min(inside, 40), ink.FAINT)], [0])
    elif piece.kind == "quote" and depth < _DEEPEST_QUOTE:
        laid = _quote(source, inside, growing, depth)
    elif piece.kind == "item":
        laid = _item(source, inside, growing)
    elif piece.kind == "heading":
        laid = _heading(source, inside, growing)
    else:
        laid = _paragraph("\n".join(line.strip() for line in source.split("\n")), inside, growing)
    return Laid([margin + row for row in laid.rows], laid.starts) if indent else laid


# --- kinds ----------------------------------------------------------------------------------------------------


def _paragraph(text: str, width: int, growing: bool) -> Laid:
    return lay_out_spans(inline_spans(text, growing), width)


def _heading(source: str, width: int, growing: bool) -> Laid:
    # The signs stay: they tell the level where there is nothing but bold.
    match = _HEADING_SIGN.match(source)
    underline = _UNDERLINE.search(source)
    if match is not None:
        sign, words = match[1], match[2]
    else:
        sign = "#" if underline is not None and underline[1][0] == "=" else "##"
        words = source[: underline.start()] if underline is not None else source
    spans = [(f"{sign} ", 0), *inline_spans(words, growing)]
    return lay_out_spans([(text, own | ink.HEADING) for text, own in spans], width)


def _item(source: str, width: int, growing: bool) -> Laid:
    match = _ITEM_SIGN.match(source)
    assert match is not None
    text = source[match.end() :]
    sign = "\N{BULLET} " if match[1] else f"{match[2]} "
    task = _TASK.match(text)
    if task is not None:
        sign += f"[{task[1].lower()}] "
        text = text[task.end() :]
    hang = min(len(sign), width // 2)
    laid = _paragraph("\n".join(line.strip() for line in text.split("\n")), max(1, width - hang), growing)
    first, rest = inked(sign[:hang]), inked(" " * hang)
    return Laid([(rest if number else first) + row for number, row in enumerate(laid.rows)], laid.starts)


def _quote(source: str, width: int, growing: bool, depth: int) -> Laid:
    inner = "\n".join(_QUOTE_SIGN.sub("", line, count=1) for line in source.split("\n"))
    laid = lay_out_all(inner, max(1, width - 2), growing, depth + 1)
    bar = inked("\N{BOX DRAWINGS LIGHT VERTICAL} ", ink.FAINT)
    return Laid([bar + row for row in laid.rows], laid.starts)


def lay_out_all(source: str, width: int, growing: bool = False, depth: int = 0) -> Laid:
    """Rows of a whole text of Markdown."""
    splitter = MarkdownSplitter()
    splitter.feed(source)
    if not growing:
        splitter.finish()
    rows: list[Row] = []
    starts: list[int] = []
    before = 0
    for piece in splitter.pieces:
        is_last = piece is splitter.pieces[-1]
        laid = lay_out(piece, width, growing and is_last, depth)
        rows += laid.rows
        starts += [before + start for start in laid.starts]
        before += len(piece.source)
        if piece.is_followed_by_blank and not is_last:
            rows.append(())
            starts.append(before)
    return Laid(rows, starts)


def _table(source: str, width: int) -> Laid:
    lines = source.split("\n")
    rows = table_rows(lines, width, has_head=len(lines) > 1 and is_delimiter_row(lines[1]))
    if rows is None:
        return lay_out_plain(source, width)
    length = len(source)
    return Laid(rows, [length * number // len(rows) for number in range(len(rows))])


def lay_out_code(piece: MarkdownPiece, width: int, coloured: Sequence[ink.Span] | None = None) -> Laid:
    """Rows of a block of code, its fences as written; `coloured` is `code_of` in the inks of its language."""
    indent = min(piece.indent, _MOST_INDENT, width // 2)
    lines = [_without_indent(line, piece.indent) for line in piece.source.rstrip("\n").split("\n")]
    opening = lines.pop(0) if piece.opens else None
    closing = lines.pop() if lines and _ends_code(piece, lines[-1]) else None
    spans: list[ink.Span] = []
    if opening is not None:
        spans.append((opening + ("\n" if lines or closing is not None else ""), ink.FAINT))
    if lines:
        spans += coloured if coloured is not None else [(_code_text(lines), ink.CODE)]
    if closing is not None:
        spans.append((("\n" if lines else "") + closing, ink.FAINT))
    laid = lay_out_spans(spans, max(1, width - indent))
    return Laid([inked(" " * indent) + row for row in laid.rows], laid.starts) if indent else laid


def code_of(piece: MarkdownPiece) -> str:
    """A block of code without its fences."""
    lines = [_without_indent(line, piece.indent) for line in piece.source.rstrip("\n").split("\n")]
    if piece.opens:
        lines.pop(0)
    if lines and _ends_code(piece, lines[-1]):
        lines.pop()
    return _code_text(lines)


def _code_text(lines: list[str]) -> str:
    return "\n".join(line.expandtabs(TAB_CELLS) for line in lines)


def _ends_code(piece: MarkdownPiece, line: str) -> bool:
    stripped = line.strip()
    return stripped.startswith(piece.fence) and not stripped.strip(piece.fence[0])


def _without_indent(line: str, indent: int) -> str:
    blanks = len(line) - len(line.lstrip(" "))
    return line[min(blanks, indent) :]
