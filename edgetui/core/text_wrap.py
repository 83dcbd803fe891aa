"""Wrapping of plain text to terminal cells, able to go on where it stopped as a stream grows."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rich.cells import cell_len

if TYPE_CHECKING:
    from collections.abc import Iterator

TAB_CELLS = 4

_NARROW_WORDS = re.compile("[ \t]+|[^ \t]+")
_JOINER = "\u200d"


class WrappedText:
    """A growing text and its lines of at most `width` cells.

    Lines break greedily at blanks and between wide characters, and inside a word only when it is longer than a
    line. So only the last line can still change when text is added, and only it is wrapped again.
    """

    def __init__(self, width: int, text: str = "") -> None:
        self._width = max(1, width)
        self._text = ""
        self._starts = [0]
        self.lines: list[str] = [""]
        """What to show, without line ends; never empty."""
        self.append(text)

    @property
    def text(self) -> str:
        """All of the text."""
        return self._text

    def append(self, text: str) -> int:
        """Add text that `plain_text` made safe; returns the index of the first line that changed."""
        first = len(self.lines) - 1
        if text:
            self._text += text
            self._wrap_from(first)
        return first

    def rewrap(self, width: int) -> None:
        """Lay everything out anew."""
        self._width = max(1, width)
        self._wrap_from(0)

    def start_of(self, line: int) -> int:
        """Where in the text a line begins."""
        return self._starts[line]

    def line_at(self, offset: int) -> int:
        """The line that shows a place in the text."""
        from bisect import bisect_right

        return max(0, bisect_right(self._starts, offset) - 1)

    def _wrap_from(self, line: int) -> None:
        start = self._starts[line]
        del self._starts[line:], self.lines[line:]
        end = self._text.find("\n", start)
        while end >= 0:
            self._wrap_paragraph(start, end)
            start = end + 1
            end = self._text.find("\n", start)
        self._wrap_paragraph(start, len(self._text))

    def _wrap_paragraph(self, start: int, end: int) -> None:
        width, text = self._width, self._text
        paragraph = text[start:end]
        narrow = paragraph.isascii()
        if narrow and end - start <= width and "\t" not in paragraph:
            self._starts.append(start)
            self.lines.append(paragraph)
            return
        line_start, column, shown = start, 0, ""
        words = _narrow_words(paragraph) if narrow else _words(paragraph)
        position = start
        for word, cells in words:
            if word[0] in " \t":
                shown, column = _add_blanks(shown, column, word, width)
            elif column + cells <= width:
                shown += word
                column += cells
            else:
                if shown.strip(" "):
                    self._starts.append(line_start)
                    self.lines.append(shown)
                    line_start, column, shown = position, 0, ""
                consumed = 0
                for cluster, cluster_cells in _clusters(word):
                    if column + cluster_cells > width and shown:
                        self._starts.append(line_start)
                        self.lines.append(shown)
                        line_start, column, shown = position + consumed, 0, ""
                    shown += cluster
                    column += cluster_cells
                    consumed += len(cluster)
            position += len(word)
        self._starts.append(line_start)
        self.lines.append(shown)


def _add_blanks(shown: str, column: int, blanks: str, width: int) -> tuple[str, int]:
    """Add blanks to a line; what does not fit hangs over the edge, unseen."""
    for blank in blanks:
        cells = TAB_CELLS - column % TAB_CELLS if blank == "\t" else 1
        cells = min(cells, width - column)
        shown += " " * cells
        column += cells
    return shown, column


def _narrow_words(text: str) -> Iterator[tuple[str, int]]:
    for match in _NARROW_WORDS.finditer(text):
        word = match[0]
        yield word, len(word)


def _words(text: str) -> Iterator[tuple[str, int]]:
    """Runs of blanks, words, and wide characters one by one, each with its cells."""
    run, run_cells, blank = "", 0, False
    for cluster, cells in _clusters(text):
        is_blank = cluster in (" ", "\t")
        # Told by the first character alone: a selector that follows later may widen a narrow one.
        is_wide = cell_len(cluster[0]) > 1
        if run and (is_blank != blank or is_wide):
            yield run, run_cells
            run, run_cells = "", 0
        if is_wide:
            yield cluster, cells
        else:
            run += cluster
            run_cells += cells
            blank = is_blank
    if run:
        yield run, run_cells


def _clusters(text: str) -> Iterator[tuple[str, int]]:
    """Characters with whatever combines with them, each with its cells."""
    if text.isascii():
        for char in text:
            yield char, 1
        return
    cluster = ""
    for char in text:
        # A mark after a blank stands alone: the blank may become a tab's worth of cells, or the end of a line.
        joins = char == _JOINER or cell_len(char) == 0 or cluster.endswith(_JOINER)
        if joins and char != "\t" and cluster not in ("", " ", "\t"):
            cluster += char
        else:
            if cluster:
                yield cluster, cell_len(cluster)
            cluster = char
    if cluster:
        yield cluster, cell_len(cluster)
