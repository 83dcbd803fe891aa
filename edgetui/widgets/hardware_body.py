"""The whole of the Hardware screen's figures: panels and charts in one column, or in two on a wide terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.containers import Vertical
from textual.widget import Widget

from edgetui.core.accelerator_use import engine_facts, use_facts
from edgetui.core.hardware_text import format_share, processor_facts, system_facts
from edgetui.core.terminal import terminal_text
from edgetui.widgets.facts_panel import FactsPanel
from edgetui.widgets.hardware_panels import (
    AcceleratorsPanel,
    ControlPanel,
    CoresPanel,
    DisksPanel,
    MemoryPanel,
    SamplePanel,
    SensorsPanel,
)
from edgetui.widgets.history_chart import HistoryChart
from edgetui.widgets.power_panel import PowerPanel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult

    from edgetui.core.accelerator_use import EngineDevices
    from edgetui.core.hardware import HardwareSample, MachineInfo
    from edgetui.core.terminal import TerminalInfo


class HardwareBody(Widget):
    """What matters most first: a small machine fits into 80x24 as a whole."""

    DEFAULT_CSS = """
    HardwareBody {
        height: auto; layout: vertical;
        Vertical { height: auto; }
        &.-wide { layout: horizontal; }
        &.-wide > Vertical { width: 1fr; }
        &.-wide > #left { margin-right: 3; }
        &.-roomy LinePanel { margin-bottom: 1; }
        &.-roomy #memory-history { margin-bottom: 0; }
    }
    """

    def __init__(self, info: MachineInfo) -> None:
        super().__init__()
        self._info = info
        self._load_history = HistoryChart("LOAD", format_share, high=1.0, id="load-history")
        self._memory_history = HistoryChart("MEMORY", format_share, high=1.0, rows=1, id="memory-history")
        self._samples: list[SamplePanel] = [
            MemoryPanel(id="memory"),
            DisksPanel(id="disks"),
            SensorsPanel(id="sensors"),
            AcceleratorsPanel(id="accelerators"),
        ]
        self._cores = CoresPanel(id="cores")
        self._power = PowerPanel(id="power")
        self._control = ControlPanel(id="control")
        self._engines = FactsPanel((("ENGINES", "not asked yet"),), id="engines")
        self._terminal = FactsPanel(id="terminal")

    def compose(self) -> ComposeResult:
        """The left column stands above the right one where there is room for one only."""
        with Vertical(id="left"):
            yield FactsPanel(processor_facts(self._info), id="processor")
            yield self._load_history
            yield self._memory_history
            yield from self._samples
        with Vertical(id="right"):
            yield self._cores
            yield self._power
            yield self._control
            yield self._engines
            yield FactsPanel(system_facts(self._info), id="system")
            yield self._terminal

    def fit(self, *, wide: bool, roomy: bool) -> None:
        """Two columns when `wide`; blank lines and taller charts when `roomy`."""
        self.set_class(wide, "-wide")
        self.set_class(roomy, "-roomy")
        self._load_history.rows = 4 if roomy else 2
        self._memory_history.rows = 3 if roomy else 1

    def show(self, sample: HardwareSample) -> None:
        """Show another sample."""
        for panel in (*self._samples, self._cores, self._power, self._control):
            panel.show(self._info, sample)

    def show_engines(self, engines: Sequence[EngineDevices]) -> None:
        """Show what the engines offer, and what can use each accelerator."""
        self._engines.show([*engine_facts(engines), *use_facts(self._info, engines)])

    def show_terminal(self, terminal: TerminalInfo) -> None:
        """Show what the terminal can do."""
        self._terminal.show([("TERMINAL", terminal_text(terminal))])

    def begin_history(self) -> None:
        """Forget what the charts show: nothing was sampled meanwhile."""
        self._load_history.clear()
        self._memory_history.clear()

    def push(self, sample: HardwareSample) -> None:
        """Add a sample to the charts."""
        used, total = sample.memory.used_bytes.value, sample.memory.total_bytes.value
        self._load_history.push(sample.cpu_load.value)
        self._memory_history.push(used / total if used is not None and total else None)
