"""A window that takes many sizes at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from textual.events import Resize
from textual.geometry import Size

from edgetui.app import EdgetuiApp
from edgetui.screens.confirm import ConfirmDialog

if TYPE_CHECKING:
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
