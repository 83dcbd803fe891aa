"""What a model thinks before it answers, told apart from the answer by the marks that its family puts around it."""

from __future__ import annotations

from typing import Literal, NamedTuple

SectionKind = Literal["thinking", "answer", "mark"]
Section = tuple[SectionKind, str]
"""A part of an answer: thinking, answer, or the marks and blanks around thinking that belong to neither."""


class ThinkingMarks(NamedTuple):
    """A pair of marks around thinking."""

    opening: str
    closing: str
    whose: str
    """Models that write them."""


MARKS: tuple[ThinkingMarks, ...] = (
    ThinkingMarks("<think>", "</think>", "Qwen 3, DeepSeek-R1, QwQ, SmolLM3, GLM, Phi-4 reasoning"),
    ThinkingMarks("<thinking>", "</thinking>", "models tuned on Claude's form"),
    ThinkingMarks("<thought>", "</thought>", "EXAONE Deep"),
    ThinkingMarks("<reasoning>", "</reasoning>", "several reasoning tunes"),
    ThinkingMarks("<|channel>thought", "<channel|>", "Gemma"),
    ThinkingMarks("<|channel|>analysis<|message|>", "<|end|>", "gpt-oss"),
    ThinkingMarks("[THINK]", "[/THINK]", "Magistral"),
    ThinkingMarks("<seed:think>", "</seed:think>", "Seed-OSS"),
    ThinkingMarks("<|START_THINKING|>", "<|END_THINKING|>", "Command A"),
    ThinkingMarks("\N{WHITE LEFT-POINTING TRIANGLE}think\N{WHITE RIGHT-POINTING TRIANGLE}",
                  "\N{WHITE LEFT-POINTING TRIANGLE}/think\N{WHITE RIGHT-POINTING TRIANGLE}", "Kimi"),
)  # fmt: skip
_ANSWER_MARKS = ("<|start|>assistant<|channel|>final<|message|>", "<|channel|>final<|message|>", "<|channel>final")
"""What some families write between thinking and answer; nobody wants to read it."""
LONGEST_MARK = max(len(mark) for marks in MARKS for mark in marks[:2])


class ThinkingSplitter:
    """Takes an answer as it comes; thinking is looked for at its beginning only, where all families put it."""

    def __init__(self) -> None:
        self._held = ""
        """Text of which it is not known yet what it belongs to."""
        self._marks: ThinkingMarks | None = None
        """Of the thinking under way."""
        self._answering = False
        self._thought = False
        self._opened = False
        """Whether the opening mark came last."""

    @property
    def is_thinking(self) -> bool:
        """Whether what comes next is thinking."""
        return self._marks is not None

    @property
    def held(self) -> str:
        """What came and is in no part yet."""
        return self._held

    def feed(self, text: str) -> list[Section]:
        """Parts in order, together all that came but what is held back while a mark may have begun."""
        sections: list[Section] = []
        self._held += text
        while self._held and self._step(sections):
            pass
        return sections

    def finish(self) -> list[Section]:
        """What was held back, once nothing more comes."""
        held, self._held = self._held, ""
        if not held:
            return []
        return [("thinking" if self._marks is not None else "answer", held)]

    def _step(self, sections: list[Section]) -> bool:
        """Tell what the beginning of the held text is; False when more is needed."""
        if self._answering:
            sections.append(("answer", self._held))
            self._held = ""
            return False
        if self._marks is not None:
            return bool(self._held) and self._think(self._marks, sections)
        blanks = len(self._held) - len(self._held.lstrip())
        begin = self._held[blanks:]
        openings = [marks.opening for marks in MARKS] + (list(_ANSWER_MARKS) if self._thought else [])
        for number, opening in enumerate(openings):
            if begin.startswith(opening):
                self._take_mark(sections, blanks + len(opening))
                if number < len(MARKS):
                    self._marks, self._thought, self._opened = MARKS[number], True, True
                else:
                    self._answering = True
                return True
        if any(opening.startswith(begin) for opening in openings):
            return False
        self._answering = True
        if self._thought:
            self._take_mark(sections, blanks)
        return True

    def _think(self, marks: ThinkingMarks, sections: list[Section]) -> bool:
        if self._opened and self._held[0] == "\n":
            self._take_mark(sections, 0)
        self._opened = False
        place = self._held.find(marks.closing)
        kept = _begun(self._held, marks.closing) if place < 0 else 0
        end = place if place >= 0 else len(self._held) - kept
        if end:
            sections.append(("thinking", self._held[:end]))
            self._held = self._held[end:]
        if place < 0:
            return False
        # The line end behind it belongs to it, and so do the blanks before the answer.
        self._take_mark(sections, len(marks.closing))
        self._marks = None
        return True

    def _take_mark(self, sections: list[Section], length: int) -> None:
        if self._held[length : length + 1] == "\n":
            length += 1
        if length:
            sections.append(("mark", self._held[:length]))
            self._held = self._held[length:]


def split_thinking(text: str) -> tuple[str, str]:
    """Thinking and answer of a whole text; thinking that was never ended is no answer."""
    sections = sections_of(text)
    thinking, answer = ("".join(part for own, part in sections if own == kind) for kind in ("thinking", "answer"))
    return thinking, answer


def without_thinking(text: str) -> str:
    """An answer as one would copy it."""
    return split_thinking(text)[1]


def sections_of(text: str) -> list[Section]:
    """Parts of a whole text, in order."""
    splitter = ThinkingSplitter()
    sections = [*splitter.feed(text), *splitter.finish()]
    if all(kind == "answer" for kind, _ in sections) and (closing := closing_without_opening(text)):
        thinking, answer = text.split(closing, 1)
        blanks = len(answer) - len(answer.lstrip())
        return [("thinking", thinking), ("mark", closing + answer[:blanks]), ("answer", answer[blanks:])]
    return sections


def closing_without_opening(text: str) -> str:
    """A closing mark before which nothing was opened; empty when there is none.

    Some templates write the opening mark themselves, so that an answer begins inside: only its end tells.
    """
    for marks in MARKS:
        if marks.closing.strip("<>[]").startswith(("/", "\N{WHITE LEFT-POINTING TRIANGLE}")):
            before, found, _ = text.partition(marks.closing)
            if found and marks.opening not in before:
                return marks.closing
    return ""


def _begun(text: str, mark: str) -> int:
    """How many characters at the end of a text may be the beginning of a mark."""
    for length in range(min(len(mark) - 1, len(text)), 0, -1):
        if text.endswith(mark[:length]):
            return length
    return 0
