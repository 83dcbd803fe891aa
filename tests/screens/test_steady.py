"""A window that takes many sizes at once, and work on a screen that goes away."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from textual.events import Resize
from textual.geometry import Size
from textual.screen import ModalScreen
from textual.widgets import Static

from edgetui.app import EdgetuiApp
from edgetui.screens.confirm import ConfirmDialog
from edgetui.screens.steady import Steady

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from edgetui.services.lab import Lab


@pytest.mark.timeout(60)
@pytest.mark.parametrize("with_dialog", [False, True])
async def test_sizes_on_their_way_at_once_settle_on_the_windows_own(lab: Lab, with_dialog: bool) -> None:
    app = EdgetuiApp(lab)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        if with_dialog:
            await app.push_screen(ConfirmDialog("Really?"))
        screen = app.screen
        # Sizes next to each other in the queue become one. A layout that leaves a message behind keeps them apart,
        # and then each would send itself back to the screen, for ever.
        screen.screen_layout_refresh_signal.subscribe(screen, lambda _: screen.call_later(lambda: None))
        for size in (Size(40, 12), Size(80, 24), Size(60, 20), Size(80, 24)):
            screen.post_message(Resize(size, size))
            screen.call_later(lambda: None)
        await asyncio.wait_for(pilot.pause(), timeout=30)
        assert screen.size == Size(80, 24)
        await asyncio.wait_for(pilot.press("escape", "f2"), timeout=30)
        assert app.current_mode == "models"


class _Slow(Static):
    """A widget that takes its time to go."""

    async def on_unmount(self) -> None:
        await asyncio.sleep(0.1)


class _Busy(Steady, ModalScreen[None]):
    """Work that looks at a widget all the time, as a prediction that arrives piece by piece does."""

    def compose(self) -> ComposeResult:
        yield Static(id="first")
        yield _Slow()

    def on_mount(self) -> None:
        self.run_worker(self._look())

    async def _look(self) -> None:
        while True:
            self.query_one("#first", Static).update("looked")
            await asyncio.sleep(0)


@pytest.mark.parametrize("by_quitting", [False, True])
async def test_work_ends_before_the_widgets_that_it_shows_itself_in_are_taken_away(lab: Lab, by_quitting: bool) -> None:
    app = EdgetuiApp(lab)
    async with app.run_test() as pilot:
        screen = _Busy()
        await app.push_screen(screen)
        await pilot.pause()
        assert str(screen.query_one("#first", Static).content) == "looked"
        if not by_quitting:
            screen.dismiss()
            await pilot.pause()
    assert not screen.is_attached
