"""A line to filter a list by: hidden until it is opened, empty again when it is closed."""

from __future__ import annotations

from textual.widgets import Input


class FilterInput(Input):
    """Its words, lower-cased, must all occur in a row that stays; `Input.Changed` tells of each change."""

    DEFAULT_CSS = """
    FilterInput { display: none; height: 1; border: none; padding: 0 1; background: $panel; }
    FilterInput.-open { display: block; }
    """

    def __init__(self, placeholder: str) -> None:
        super().__init__(placeholder=placeholder, compact=True, select_on_focus=False)
        self.cursor_blink = False

    @property
    def words(self) -> list[str]:
        """What is typed, word by word."""
        return self.value.lower().split()

    def open(self) -> None:
        """Show it and type into it."""
        self.add_class("-open")
        # At once: `focus` waits for its turn, and what is typed meanwhile would be taken for keys of the screen.
        self.screen.set_focus(self)

    def close(self) -> bool:
        """Empty and hide it; says whether it was open."""
        was_open = self.has_class("-open")
        self.value = ""
        self.remove_class("-open")
        return was_open
