"""A program for a pseudo-terminal: a transcript beside a panel, grown piece by piece from a seed."""

from __future__ import annotations

import random
import sys

from textual.app import App, ComposeResult
from textual.containers import Horizontal
from textual.widgets import Static

from edgetui.terminal import LeanDriver
from edgetui.widgets.transcript import Transcript

WORDS = [
    "rain",
    "a",
    "on the",
    "tin roof,",
    "\n",
    "\n\n",
    "日本語",
    "small drums",
    "e\u0301te\u0301",
    "- ",
    "\tindented",
    "x" * 50,
]


def make_text(seed: int) -> str:
    """A text with everything that wraps in its own way."""
    chance = random.Random(seed)
    return " ".join(chance.choice(WORDS) for _ in range(160))


class TranscriptApp(App[None]):
    """Adds a few characters a frame, so that every repaint is a partial one, then says that it is done."""

    CSS = "#panel { width: 12; } Transcript { width: 1fr; }"

    def __init__(self, seed: int) -> None:
        super().__init__(driver_class=LeanDriver)
        self._text = make_text(seed)
        self._chance = random.Random(seed)
        self._position = 0

    def compose(self) -> ComposeResult:
        with Horizontal():
            yield Transcript()
            yield Static("busy", id="panel")

    def on_mount(self) -> None:
        transcript = self.query_one(Transcript)
        transcript.add_block("user", "Write a haiku about rain, please, and take your time.")
        transcript.add_block("answer")
        self.call_after_refresh(self._grow)

    def _grow(self) -> None:
        if self._position >= len(self._text):
            self.query_one("#panel", Static).update("done")
            return
        step = self._chance.randint(1, 9)
        self.query_one(Transcript).append(self._text[self._position : self._position + step])
        self._position += step
        self.call_after_refresh(self._grow)


if __name__ == "__main__":
    TranscriptApp(int(sys.argv[1])).run()
