"""Long pasted texts behind short labels, so that an input need not lay all of them out."""

from __future__ import annotations

MOST_CHARACTERS = 2_000
"""Longer texts get a label."""
MOST_LINES = 20


class PastedTexts:
    """Labels and what they stand for; a label is on one line and stands for one text only."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}

    def shorten(self, text: str) -> str:
        """The text, or a label for it when it is long."""
        if len(text) <= MOST_CHARACTERS and text.count("\n") < MOST_LINES:
            return text
        lines = text.count("\n") + 1
        size = f"pasted {len(text):,} characters" + (f", {lines:,} lines" if lines > 1 else "")
        label, number = f"[{size}]", 1
        while self._texts.get(label, text) != text:
            number += 1
            label = f"[{size}, no. {number}]"
        self._texts[label] = text
        return label

    def expand(self, text: str) -> str:
        """The text with what its labels stand for in their places; labels inside of those are text."""
        parts, position = [], 0
        while (found := self._next(text, position)) is not None:
            start, label = found
            parts += [text[position:start], self._texts[label]]
            position = start + len(label)
        return "".join([*parts, text[position:]])

    def whole_span(self, line: str, start: int, end: int) -> tuple[int, int]:
        """A span of a line that changes no label in part: widened over those it touches, moved behind when empty."""
        position = 0
        while (found := self._next(line, position)) is not None:
            first, last = found[0], found[0] + len(found[1])
            if start == end and first < start < last:
                return last, last
            if start < last and first < end:
                start, end = min(start, first), max(end, last)
            position = last
        return start, end

    def forget(self) -> None:
        """Nothing stands behind any label any more."""
        self._texts.clear()

    def _next(self, text: str, position: int) -> tuple[int, str] | None:
        """The first label from a place on."""
        places = [(place, label) for label in self._texts if (place := text.find(label, position)) >= 0]
        return min(places, default=None)
