"""What a model takes here: memory by a simulated load, speed by what this machine measured of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from textual import work

from edgetui.core.failures import EdgetuiError
from edgetui.core.fit_text import fit_facts
from edgetui.core.plain_text import plain_line
from edgetui.core.speed_text import speed_facts
from edgetui.screens.model_care import ModelCareScreen
from edgetui.widgets.model_details import ModelDetailsPane

if TYPE_CHECKING:
    from edgetui.core.models import ModelEntry


class ModelFitScreen(ModelCareScreen):
    """Base of a screen that binds `fit` and `calibrate`, whose answers stand in the pane for the details."""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Of GGUF models only."""
        if action in ("fit", "calibrate"):
            return self.marked is not None and self.marked.is_gguf
        return super().check_action(action, parameters)

    def action_fit(self) -> None:
        """Predict what loading the marked model would take, as the settings have it; or show the details again."""
        if self.instead == "fit":
            self.workers.cancel_group(self, "fit")
            self.show_details()
        elif self.marked is not None:
            self.instead = "fit"
            self._predict(self.marked)

    def action_calibrate(self) -> None:
        """Measure this machine, which takes some seconds, then predict the marked model; esc ends it."""
        if self.marked is not None:
            self.instead = "fit"
            self._calibrate(self.marked)

    # --- work ---------------------------------------------------------------------------------------------

    @work(group="fit", exclusive=True)
    async def _predict(self, entry: ModelEntry) -> None:
        pane = self.query_one(ModelDetailsPane)
        pane.show_text(f"Fit of {entry.name}", "Asking llama.cpp to simulate the load...")
        await self._show_fit(entry, pane)

    @work(group="fit", exclusive=True)
    async def _calibrate(self, entry: ModelEntry) -> None:
        pane = self.query_one(ModelDetailsPane)

        def show(fraction: float) -> None:
            if self.marked == entry and self.instead == "fit":
                pane.show_text(f"Fit of {entry.name}", f"Measuring this machine: {fraction:.0%} (esc ends it)")

        show(0.0)
        try:
            await self.lab.speed.calibrate(show)
        except EdgetuiError as error:
            self.show_failure(error)
            self.show_details()
            return
        await self._show_fit(entry, pane)

    async def _show_fit(self, entry: ModelEntry, pane: ModelDetailsPane) -> None:
        settings = self.lab.settings.load
        try:
            fit = await self.lab.fit.memory(entry, settings)
            speed = await self.lab.speed.forecast_of(entry, settings)
            threads = speed.value.threads if speed.value else settings.threads
            measured = await self.lab.speed.measured(entry, msgspec.structs.replace(settings, threads=threads))
        except EdgetuiError as error:
            self.show_failure(error)
            self.show_details()
            return
        if self.marked == entry and self.instead == "fit":
            facts = [*fit_facts(fit), *speed_facts(speed, measured)]
            if speed.value is None:
                facts.append(("", "c calibrates this machine in about ten seconds"))
            lines = [f"{label:<10}{plain_line(text)}".rstrip() for label, text in facts]
            pane.show_text(f"Fit of {entry.name}", "\n".join(lines))
