"""The modes of the app: their keys, titles and where their screens live; nothing is imported here."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from edgetui.screens.base import LabScreen


class Mode(NamedTuple):
    """One mode; its screen is class `<Name>Screen` in module `edgetui.screens.<name>`."""

    name: str
    key: str
    title: str
    short: str
    """Title for a narrow terminal."""

    def make_screen(self) -> LabScreen:
        """Import the screen's module and make the screen."""
        module = import_module(f"edgetui.screens.{self.name}")
        screen: LabScreen = getattr(module, f"{self.name.capitalize()}Screen")()
        return screen


LAB_MODES = (
    Mode("hardware", "1", "Hardware", "Hw"),
    Mode("models", "2", "Models", "Mod"),
    Mode("quantize", "3", "Quantize", "Qnt"),
    Mode("run", "4", "Run", "Run"),
    Mode("bench", "5", "Bench", "Bch"),
    Mode("jobs", "6", "Jobs", "Job"),
    Mode("readiness", "7", "Readiness", "Rdy"),
    Mode("recommend", "8", "Choose", "Cho"),
    Mode("hub", "9", "Hub", "Hub"),
    Mode("frontier", "0", "Frontier", "Fro"),
)
