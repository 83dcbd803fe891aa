"""The least that a Textual app can be; edgetui's first frame is measured against it."""

from __future__ import annotations

from textual.app import App, ComposeResult
from textual.widgets import Label


class LabelApp(App[None]):
    """One label."""

    BINDINGS = [("q", "quit", "Quit")]  # noqa: RUF012 - as every Textual tutorial writes it

    def compose(self) -> ComposeResult:
        """The label."""
        yield Label("first frame")


if __name__ == "__main__":
    LabelApp().run()
