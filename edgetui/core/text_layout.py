"""Text with ink on stretches of it as rows of the screen, at a width."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from edgetui.core import ink
from edgetui.core.ink import Row, inked
from edgetui.core.text_wrap import WrappedText

if TYPE_CHECKING:
    from collections.abc import Sequence


class Laid(NamedTuple):
    """Rows of a piece and where, in what they show, each begins."""

    rows: list[Row]
    starts: list[int]


def lay_out_plain(source: str, width: int, own_ink: int = 0) -> Laid:
    """Rows of a text as it stands."""
    wrapped = WrappedText(width, source)
    return Laid(
        [inked(line, own_ink) for line in wrapped.lines],
        [wrapped.start_of(number) for number in range(len(wrapped.lines))],
    )


def lay_out_spans(spans: Sequence[ink.Span], width: int) -> Laid:
    """Wrap text that has ink on stretches of it."""
    text = "".join(part for part, _ in spans).replace("\t", " ")
    wrapped = WrappedText(width, text)
    rows: list[Row] = []
    starts = []
    ends, inks, end = [], [], 0
    for part, own in spans:
        end += len(part)
        ends.append(end)
        inks.append(own)
    index = 0
    for number, line in enumerate(wrapped.lines):
        start = wrapped.start_of(number)
        starts.append(start)
        row: list[ink.Span] = []
        position = start
        while position < start + len(line):
            while index < len(ends) and ends[index] <= position:
                index += 1
            stop = min(start + len(line), ends[index]) if index < len(ends) else start + len(line)
            own = inks[index] if index < len(inks) else 0
            shown = line[position - start : stop - start]
            if row and row[-1][1] == own:
                row[-1] = (row[-1][0] + shown, own)
            else:
                row.append((shown, own))
            position = stop
        rows.append(tuple(row))
    return Laid(rows, starts)


def _starts(wrapped: WrappedText) -> list[int]:
    return [wrapped.start_of(number) for number in range(len(wrapped.lines))]
