"""What is repainted, and that text from outside stays text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual.app import App
from textual.geometry import Region

from edgetui.widgets.line_panel import Line, LinePanel, Span

if TYPE_CHECKING:
    from textual.app import ComposeResult


class Panel(LinePanel):
    """Shows given lines and notes what it asks to be repainted."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self.lines = lines
        self.repainted: list[Region | str] = []

    def layout_lines(self, width: int) -> list[Line]:
        return [(Span(line),) for line in self.lines]

    def refresh(self, *regions: Region, **kwargs: Any) -> Panel:
        self.repainted += regions or ["all"]
        super().refresh(*regions, **kwargs)
        return self


class PanelApp(App[None]):
    def __init__(self, panel: Panel) -> None:
        super().__init__()
        self.panel = panel

    def compose(self) -> ComposeResult:
        yield self.panel


async def test_only_the_line_that_changed_is_repainted() -> None:
    app = PanelApp(Panel(["one", "two", "three"]))
    async with app.run_test(size=(20, 5)):
        app.panel.repainted.clear()
        app.panel.lines = ["one", "TWO", "three"]
        app.panel.update_lines()
        assert app.panel.repainted == [Region(0, 1, 20, 1)]


async def test_nothing_is_repainted_when_nothing_changed() -> None:
    app = PanelApp(Panel(["one", "two"]))
    async with app.run_test(size=(20, 5)):
        app.panel.repainted.clear()
        app.panel.update_lines()
        assert app.panel.repainted == []


async def test_a_line_more_makes_the_panel_taller() -> None:
    app = PanelApp(Panel(["one"]))
    async with app.run_test(size=(20, 5)) as pilot:
        app.panel.lines = ["one", "two"]
        app.panel.update_lines()
        await pilot.pause()
        assert app.panel.size.height == 2


async def test_control_characters_and_markup_are_shown_and_not_obeyed() -> None:
    app = PanelApp(Panel(["disk \x1b[2J\x07 [red]x[/red]"]))
    async with app.run_test(size=(40, 5)):
        assert "\x1b" not in app.panel.text and "\x07" not in app.panel.text
        assert "[red]x[/red]" in app.panel.text
