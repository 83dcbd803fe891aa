"""What every engine offers to a session worker; a new engine is one more class like this."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from edgetui.core.calibration import Calibration
    from edgetui.core.quant_options import QuantOptions
    from edgetui.core.run_settings import LoadSettings
    from edgetui.engines.stopping import StopFlag
    from edgetui.worker.protocol import (
        EngineInfo,
        Finished,
        Generate,
        Loaded,
        MemoryEstimated,
        QuantizationPlan,
        SessionEvent,
    )


class Engine(Protocol):
    """A native runtime with at most one model loaded; every method may raise `EdgetuiError`."""

    def describe(self) -> EngineInfo:
        """Name, version and build."""

    def load(self, path: Path, settings: LoadSettings, on_progress: Callable[[float], None], stop: StopFlag) -> Loaded:
        """Replace the loaded model; `on_progress` gets shares from 0 to 1. Raises `cancelled` when stopped."""

    def generate(
        self, command: Generate, arrived_ns: int, emit: Callable[[SessionEvent], None], stop: StopFlag
    ) -> Finished:
        """Answer; tokens go to `emit`. `arrived_ns` (`perf_counter_ns`) is the zero of all times."""

    def plan_quantization(
        self, path: Path, type_names: Sequence[str], options: QuantOptions
    ) -> Iterator[QuantizationPlan]:
        """Predict what each type would make of a model, without writing anything."""

    def estimate_memory(self, path: Path, settings: Sequence[LoadSettings]) -> MemoryEstimated:
        """What loading would take with each of the settings, without loading anything."""

    def calibrate(
        self, budget_s: float, buffer_bytes: int, on_progress: Callable[[float], None], stop: StopFlag
    ) -> Calibration:
        """Measure what decides this machine's speed. Raises `cancelled` when stopped."""

    def prove(self) -> str:
        """Compute something whose result is known; says what was proved. Raises `internal` for wrong numbers."""

    def unload(self) -> None:
        """Free the model; nothing happens when none is loaded."""
