"""Hardware: what this machine is, and what it does, once a second while the screen is shown."""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING

import msgspec
from textual.containers import VerticalScroll
from textual.widgets import Static

from edgetui.core.terminal import terminal_info
from edgetui.screens.base import LabScreen

if TYPE_CHECKING:
    from textual import events
    from textual.app import ComposeResult
    from textual.worker import Worker

    from edgetui.core.accelerator_use import EngineDevices
    from edgetui.widgets.hardware_body import HardwareBody

INTERVAL_S = 1.0
FIRST_INTERVAL_S = 0.25
"""Loads need two samples: the second comes soon."""
ENGINES_AFTER_S = 1.5
"""Asking them starts processes, which must not stand in the way of whoever passes through this screen."""
_WIDE = 120
_ROOMY = 40


class HardwareScreen(LabScreen):
    """The first screen, so its first frame holds one line only: probes, panels and their styles come after it."""

    MODE = "hardware"
    HELP = (
        "What this machine is and what it does, once a second. A figure that cannot be read shows - and the reason"
        " stands beside or under it. Up, down, page up, page down, home and end scroll."
    )
    DEFAULT_CSS = "HardwareScreen #hardware { padding: 0 1; }"

    def __init__(self) -> None:
        super().__init__()
        self._watching: Worker[None] | None = None
        self._body: HardwareBody | None = None
        self._engines: tuple[EngineDevices, ...] | None = None

    def compose_body(self) -> ComposeResult:
        """A place that scrolls, and one line in it until the machine is read."""
        with VerticalScroll(id="hardware"):
            yield Static("Reading this machine ...", id="waiting", markup=False)

    def on_screen_resume(self) -> None:
        """Sample from now on; the frame is painted first."""
        self.call_after_refresh(self._begin_watching)

    def on_screen_suspend(self) -> None:
        """Nobody looks: no sample is taken."""
        if self._watching is not None:
            self._watching.cancel()
            self._watching = None
        self.workers.cancel_group(self, "engines")

    def on_resize(self, event: events.Resize) -> None:
        """One column or two."""
        self._fit_body()

    def _begin_watching(self) -> None:
        if self.is_current and self._watching is None:
            self._watching = self.run_worker(self._watch(), group="hardware", exclusive=True)
            if self._engines is None:
                self.run_worker(self._ask_engines(), group="engines", exclusive=True)

    async def _watch(self) -> None:
        hardware = await asyncio.to_thread(lambda: self.lab.hardware)
        body = self._body or await self._make_body()
        body.show(await hardware.sample())
        body.begin_history()
        # A history begins with a figure, not with the gap of the sample that had none to compare with.
        await asyncio.sleep(FIRST_INTERVAL_S)
        while True:
            sample = await hardware.sample()
            body.show(sample)
            body.push(sample)
            await asyncio.sleep(INTERVAL_S)

    async def _ask_engines(self) -> None:
        await asyncio.sleep(ENGINES_AFTER_S)
        self._engines = await (await asyncio.to_thread(lambda: self.lab.engine_devices)).describe()
        if self._body is not None:
            self._body.show_engines(self._engines)

    async def _make_body(self) -> HardwareBody:
        info = await self.lab.hardware.describe()
        panels = await asyncio.to_thread(import_module, "edgetui.widgets.hardware_body")
        # Kept before anything is awaited again: leaving the screen now must not make a second one later.
        body: HardwareBody = panels.HardwareBody(info)
        self._body = body
        if self._engines is not None:
            body.show_engines(self._engines)
        mounted = self.query_one("#hardware").mount(body)
        await self.query("#waiting").remove()
        await mounted
        self._fit_body()
        return body

    def _fit_body(self) -> None:
        if self._body is not None:
            self._body.fit(wide=self.size.width >= _WIDE, roomy=self.size.height >= _ROOMY)
            columns, rows = self.size
            self._body.show_terminal(msgspec.structs.replace(terminal_info(), columns=columns, rows=rows))
