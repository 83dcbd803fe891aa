"""What llama.cpp does for edgetui beside chatting (see `engines.base.Tools`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetui.engines.llama_cpp import library

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from edgetui.core.calibration import Calibration
    from edgetui.core.quant_options import QuantOptions
    from edgetui.core.run_settings import LoadSettings
    from edgetui.engines.stopping import StopFlag
    from edgetui.worker.protocol import EngineInfo, MemoryEstimated, QuantizationPlan


class LlamaCppTools:
    """Each imports what it needs when it is asked."""

    def describe(self) -> EngineInfo:
        """The installed library: version, flags, devices, types."""
        return library.describe()

    def plan_quantization(
        self, path: Path, type_names: Sequence[str], options: QuantOptions
    ) -> Iterator[QuantizationPlan]:
        """Dry runs by llama.cpp itself, one a type."""
        from edgetui.engines.llama_cpp import quantize

        return quantize.plan(path, type_names, options)

    def estimate_memory(self, path: Path, settings: Sequence[LoadSettings]) -> MemoryEstimated:
        """Simulated allocations, one for each of the settings."""
        from edgetui.engines.llama_cpp.allocation import estimate_memory

        return estimate_memory(path, settings)

    def calibrate(
        self, budget_s: float, buffer_bytes: int, on_progress: Callable[[float], None], stop: StopFlag
    ) -> Calibration:
        """Graphs of ggml's own, without a model."""
        from edgetui.engines.llama_cpp import calibrate

        return calibrate.calibrate(budget_s, buffer_bytes, on_progress, stop)

    def prove(self) -> str:
        """A product of ggml's, without a model."""
        from edgetui.engines.llama_cpp.self_test import prove_product

        return prove_product()
