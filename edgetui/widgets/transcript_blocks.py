"""What a transcript holds: blocks of a conversation, cut into units."""

from __future__ import annotations

import time
import zlib
from bisect import bisect_right
from typing import TYPE_CHECKING, Literal

from edgetui.core import ink
from edgetui.core.markdown_pieces import MarkdownSplitter
from edgetui.core.thinking import LONGEST_MARK, ThinkingSplitter, closing_without_opening, sections_of, without_thinking
from edgetui.widgets.transcript_units import Unit

if TYPE_CHECKING:
    from edgetui.core.text_layout import Laid
    from edgetui.core.thinking import Section
    from edgetui.widgets.transcript_units import Look, UnitRole

BlockKind = Literal["user", "answer", "note"]

_PREFIXES: dict[BlockKind, tuple[str, str]] = {"user": ("> ", "  "), "answer": ("", ""), "note": ("- ", "  ")}
"""What stands before a block's first line and before its others; they tell blocks apart without colour."""
_INKS: dict[BlockKind, int] = {"user": ink.USER, "answer": 0, "note": ink.NOTE}
_THOUGHT_PREFIX = ("\N{BOX DRAWINGS LIGHT VERTICAL} ", "\N{BOX DRAWINGS LIGHT VERTICAL} ")
_SHOWN_OF_LONG = 400
"""Characters of a long prompt that stay in view when it is folded."""
_LONG_CHARACTERS = 2_000
_LONG_LINES = 20
_UNIT_CHARACTERS = 2_000
"""Of plain text that is laid out as one."""


class Block:
    """One turn of a conversation, or a note between turns."""

    def __init__(self, kind: BlockKind, text: str, look: Look) -> None:
        self.kind = kind
        self.units: list[Unit] = []
        """In order; empty while it is packed."""
        self.first_line = 0
        self.height = 1
        """Rows; never 0."""
        self._packed: bytes | None = None
        """Its text, in place of units."""
        self._thinking = ThinkingSplitter()
        self._markdown: MarkdownSplitter | None = None
        """Of the section under way."""
        self._section = ""
        self._is_finished = False
        self._fold: Unit | None = None
        """The row that stands for folded thinking."""
        self._is_over = False
        """Whether the thinking has ended."""
        self._thinking_began = self._thinking_s = 0.0
        self._thinking_tokens = 0
        self._thought_characters = 0
        self._tail = ""
        """End of the answer, in which a closing mark may have begun."""
        if kind == "answer":
            self._take(self._whole(text), look)
        else:
            self._add_plain(text, look)
        self.place()

    @property
    def end_line(self) -> int:
        """The line after its last."""
        return self.first_line + self.height

    def is_growing(self, unit: Unit) -> bool:
        """Whether more of a unit may come."""
        return not self._is_finished and unit is self.units[-1]

    def rows_of(self, unit: Unit, look: Look) -> Laid:
        """Lay a unit out, or remember how it was."""
        return unit.lay_out(look, self.is_growing(unit), unit is self.units[-1])

    @property
    def text(self) -> str:
        """All of it as it was written."""
        if self._packed is not None:
            return zlib.decompress(self._packed).decode()
        return "".join(unit.source for unit in self.units if unit.role not in ("fold", "size")) + self._thinking.held

    @property
    def answer(self) -> str:
        """What was written, without thinking."""
        if self._packed is not None:
            return without_thinking(self.text)
        written = "".join(unit.source for unit in self.units if unit.role == "text" and not unit.ink & ink.THOUGHT)
        return written if self._thinking.is_thinking else written + self._thinking.held

    def append(self, text: str, look: Look, tokens: int = 0, now_s: float | None = None) -> None:
        """Add text; `tokens` and the time say how long thinking takes."""
        if self.kind != "answer":
            self._add_plain(text, look)
        else:
            was_thinking = self._thinking.is_thinking
            self._take(self._thinking.feed(text), look)
            if was_thinking or self._thinking.is_thinking:
                self._count_thinking(tokens, time.monotonic() if now_s is None else now_s)
                self._say_thinking(look)
            self._find_late_thinking(text, look)
        self.place()

    def finish(self, look: Look) -> None:
        """Nothing more comes: what was held back is shown, and what was growing is laid out for good."""
        if self._is_finished:
            return
        self._is_finished = True
        if self.kind == "answer":
            self._take(self._thinking.finish(), look)
            self._end_section(look)
            self._is_over = True
            for unit in self.units[-1:]:
                unit.estimate(look)
            self._say_thinking(look)
        self.place()

    def pack(self) -> None:
        """Keep nothing but the text of a finished block, and how many rows it had."""
        if self._is_finished and self._packed is None:
            self._packed = zlib.compress(self.text.encode(), 1)
            self.units = []
            self._fold, self._markdown, self._section = None, None, ""

    def unpack(self, look: Look) -> bool:
        """Have units again, their rows estimated; says whether it had none."""
        if self._packed is None:
            return False
        text, self._packed = self.text, None
        if self.kind == "answer":
            was_over, self._thought_characters = self._is_over, 0
            self._take(sections_of(text), look)
            self._end_section(look)
            self._is_over = was_over
            self._say_thinking(look)
        else:
            self._add_plain(text, look)
        self.place()
        return True

    def change_look(self, look: Look) -> None:
        """Everything is shown otherwise from now on."""
        if self.unpack(look):
            self.pack()
            return
        self._say_thinking(look)
        for unit in self.units:
            if unit.role == "size":
                unit.text = self._size_text(self.text, look)
        for unit in self.units:
            unit.estimate(look)
        self.place()

    def place(self) -> None:
        """Count where each unit begins."""
        if self._packed is not None:
            return
        first = 0
        for unit in self.units:
            unit.first = first
            first += unit.height
        self.height = max(1, first)

    def unit_at(self, row: int) -> int:
        """Index of the unit that shows a row, counted from the block's first; -1 when there is none."""
        index = bisect_right(self.units, row, key=lambda unit: unit.first) - 1
        while index >= 0 and self.units[index].height == 0:
            index -= 1
        return index

    # --- inside -------------------------------------------------------------------------------------------

    def _whole(self, text: str) -> list[Section]:
        sections = sections_of(text)
        if any(kind != "answer" for kind, _ in sections):
            self._thinking.feed(text)
            return sections
        return self._thinking.feed(text)

    def _take(self, sections: list[Section], look: Look) -> None:
        for kind, text in sections:
            if kind == "mark":
                role: UnitRole = "end" if self._section == "thinking" else "mark"
                self._end_section(look)
                self._is_over = role == "end"
                self.units.append(Unit(None, text, role=role))
                self.units[-1].estimate(look)
                self._say_thinking(look)
                continue
            if kind != self._section or self._markdown is None:
                self._end_section(look)
                self._section, self._markdown = kind, MarkdownSplitter()
                if kind == "thinking" and self._fold is None:
                    self._fold = Unit(None, own_ink=ink.NOTE, role="fold")
                    self.units.append(self._fold)
            self._grow(self._markdown, text, look, is_thinking=kind == "thinking")
            if kind == "thinking":
                self._thought_characters += len(text)
                self._is_over = False
                self._say_thinking(look)

    def _grow(self, markdown: MarkdownSplitter, text: str, look: Look, is_thinking: bool) -> None:
        """Take more of a section, or its end when there is no more text."""
        before = len(markdown.pieces)
        if text:
            markdown.feed(text)
        else:
            markdown.finish()
        # The piece that was the last one changed too, if only by no longer being it.
        if before and self.units and self.units[-1].piece is markdown.pieces[before - 1]:
            self.units[-1].estimate(look)
        for piece in markdown.pieces[before:]:
            if is_thinking:
                unit = Unit(piece, prefixes=_THOUGHT_PREFIX, own_ink=ink.THOUGHT, folds=True)
            else:
                unit = Unit(piece)
            self.units.append(unit)
            unit.estimate(look)
        # Units hold the pieces; the splitter needs the last one only.
        del markdown.pieces[:-1]

    def _end_section(self, look: Look) -> None:
        if self._markdown is not None and self.units:
            self._grow(self._markdown, "", look, is_thinking=self._section == "thinking")
        self._markdown, self._section = None, ""

    def _find_late_thinking(self, text: str, look: Look) -> None:
        """A closing mark without opening one: all before it was thinking, and is taken apart again."""
        if self._fold is not None:
            return
        seen = self._tail + text
        self._tail = seen[-LONGEST_MARK:]
        if closing_without_opening(seen) and closing_without_opening(whole := self.text):
            self.units.clear()
            self._markdown = None
            self._take(sections_of(whole), look)

    def _count_thinking(self, tokens: int, now_s: float) -> None:
        if not self._thinking_began:
            self._thinking_began = now_s
        self._thinking_s = now_s - self._thinking_began
        self._thinking_tokens += tokens

    def _say_thinking(self, look: Look) -> None:
        """One row about the thinking; only its end changes while it goes on."""
        fold = self._fold
        if fold is None:
            return
        counted = self._thinking_tokens
        length = f"{counted:,} tokens" if counted else f"{self._thought_characters:,} characters"
        took = f", {self._thinking_s:.0f} s" if self._thinking_s else ""
        text = f"{_sign(look)} {'thought' if self._is_over else 'thinking...'} {length}{took}\n"
        if text != fold.text:
            fold.text = text
            fold.estimate(look)

    # --- plain text -----------------------------------------------------------------------------------------

    def _add_plain(self, text: str, look: Look) -> None:
        """A prompt or a note; a long one is folded behind its beginning."""
        whole = self.text + text
        self.units.clear()
        prefixes, own_ink = _PREFIXES[self.kind], _INKS[self.kind]
        rest = (prefixes[1], prefixes[1])
        is_long = len(whole) > _LONG_CHARACTERS or whole.count("\n") >= _LONG_LINES
        parts = _stretches(whole, _SHOWN_OF_LONG if is_long else _UNIT_CHARACTERS)
        for number, part in enumerate(parts):
            folds = is_long and number > 0
            self.units.append(Unit(None, part, rest if number else prefixes, own_ink, folds=folds))
        if is_long:
            self.units.insert(1, Unit(None, self._size_text(whole, look), rest, ink.NOTE, role="size"))
        for unit in self.units:
            unit.estimate(look)

    def _size_text(self, whole: str, look: Look) -> str:
        lines = whole.count("\n") + 1
        return f"{_sign(look)} {len(whole):,} characters, {lines:,} {'line' if lines == 1 else 'lines'} in all\n"


def _sign(look: Look) -> str:
    return "[-]" if look.unfolded else "[+]"


def _stretches(text: str, first_length: int) -> list[str]:
    """A text in parts of bounded length and lines, cut at line ends where there are any, else at blanks."""
    parts = []
    start, length = 0, first_length
    while start < len(text):
        end = min(len(text), start + length)
        if end < len(text):
            cut = text.rfind("\n", start, end)
            cut = cut if cut > start else text.rfind(" ", start, end)
            end = cut + 1 if cut > start else end
        if text.count("\n", start, end) > _LONG_LINES:
            cut = start
            for _ in range(8 if not start else _LONG_LINES):
                cut = text.index("\n", cut) + 1
            end = cut
        parts.append(text[start:end])
        start, length = end, _UNIT_CHARACTERS
    return parts or [""]
