"""Rows that another process added or took away: noticed while the Bench screen is shown, and on coming back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import work

from edgetui.core.failures import EdgetuiError
from edgetui.screens.base import LabScreen

if TYPE_CHECKING:
    from textual.timer import Timer

LOOK_EVERY_S = 3.0


class BenchWatching(LabScreen):
    """Base of the Bench screen, which sets `history_mark` to that of the rows which it read."""

    def __init__(self) -> None:
        super().__init__()
        self.history_mark: tuple[int, int] | None = None
        """None before rows were read."""
        self._watching: Timer | None = None

    def read_history(self) -> object:
        """Read all rows and show them."""
        raise NotImplementedError

    def on_mount(self) -> None:
        """Look now and then."""
        self._watching = self.set_interval(LOOK_EVERY_S, self._look_if_quiet)

    def on_screen_resume(self) -> None:
        """Rows may have come while another screen or a dialog was shown."""
        if self._watching is not None:
            self._watching.resume()
            self.look_for_rows()

    def on_screen_suspend(self) -> None:
        """Nobody looks."""
        if self._watching is not None:
            self._watching.pause()

    @work(exclusive=True, group="look")
    async def look_for_rows(self) -> None:
        """Read the history where it is not what was read last."""
        try:
            mark = await self.lab.bench.history_mark()
        except EdgetuiError:
            # Nobody asked for this; what is asked for next says the same, and what is shown stays until then.
            return
        if mark != self.history_mark and self.has_widgets:
            self.read_history()

    def _look_if_quiet(self) -> None:
        # What is measured is told row by row where this app follows it, and else once its job ends.
        if not self.lab_app.running_jobs:
            self.look_for_rows()
