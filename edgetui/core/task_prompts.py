"""Prompts by task: an instruction for texts of one's own, and texts to try a model on."""

from __future__ import annotations

import msgspec


class TaskText(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One text to try a task on."""

    title: str
    text: str = ""
    filler: str = ""
    """A line with `{n}` for its number, that stands `filler_lines` times instead of `text`."""
    filler_lines: int = 0
    needle: str = ""
    """The line that stands instead of the filler with the number `needle_line`."""
    needle_line: int = 0

    @property
    def content(self) -> str:
        """The whole text."""
        if not self.filler:
            return self.text.strip()
        lines = (self.filler.format(n=number) for number in range(1, self.filler_lines + 1))
        return "\n".join(self.needle if n == self.needle_line else line for n, line in enumerate(lines, start=1))


class Task(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a model is asked to do."""

    name: str
    note: str
    instruction: str
    texts: tuple[TaskText, ...]
    json_schema: str = ""
    """What an answer must follow, where the engine can hold it to that; empty for none."""

    def prompt(self, text: str) -> str:
        """The instruction with a text under it."""
        return f"{self.instruction}\n\n{text.strip()}" if self.instruction else text.strip()
