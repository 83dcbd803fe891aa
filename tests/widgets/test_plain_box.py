"""What a widget that grows costs those beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import App

from edgetui.widgets.plain_box import Row, Unscrolled

if TYPE_CHECKING:
    from textual.app import ComposeResult


class _Beside(Unscrolled):
    DEFAULT_CSS = "_Beside { width: 10; height: 1fr; }"

    def render(self) -> str:
        return "beside"


class _Text(Unscrolled):
    DEFAULT_CSS = "_Text { height: auto; }"
    text = "one"

    def render(self) -> str:
        return self.text


class _Growing(App[None]):
    CSS = "#foot { height: auto; }"

    def compose(self) -> ComposeResult:
        with Row(id="middle"):
            yield _Beside()
        with Row(id="foot"):
            yield _Text()


async def test_a_text_that_grows_lays_the_screen_out_once() -> None:
    app = _Growing()
    async with app.run_test(size=(40, 12)) as pilot:
        await pilot.pause()
        layouts: list[object] = []
        app.screen.screen_layout_refresh_signal.subscribe(app.screen, layouts.append)
        text = app.query_one(_Text)
        text.text = "one\ntwo\nthree"
        text.refresh(layout=True)
        for _ in range(5):
            await pilot.pause(0.02)
        assert app.query_one("#foot").size.height == 3 and app.query_one(_Beside).size.height == 9
        assert len(layouts) == 1
