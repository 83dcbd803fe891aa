"""llama.cpp as a session worker's engine."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from edgetui.core.failures import EdgetuiError
from edgetui.engines.llama_cpp import library
from edgetui.engines.llama_cpp.conversation import Conversation
from edgetui.engines.llama_cpp.model import LoadedModel
from edgetui.worker.protocol import Loaded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from edgetui.core.calibration import Calibration
    from edgetui.core.quant_options import QuantOptions
    from edgetui.core.run_settings import LoadSettings
    from edgetui.engines.stopping import StopFlag
    from edgetui.worker.protocol import EngineInfo, Finished, Generate, MemoryEstimated, QuantizationPlan, SessionEvent


class LlamaCppEngine:
    """One model and its conversation at a time (see `engines.base.Engine`)."""

    def __init__(self) -> None:
        self._model: LoadedModel | None = None
        self._conversation: Conversation | None = None

    def describe(self) -> EngineInfo:
        """The installed library: version, flags, devices, types."""
        return library.describe()

    def load(self, path: Path, settings: LoadSettings, on_progress: Callable[[float], None], stop: StopFlag) -> Loaded:
        """Load and warm up; the model loaded before is freed first, so that both never share the memory."""
        started = time.perf_counter()
        self.unload()
        model = LoadedModel.load(path, settings, on_progress=on_progress, stop=stop)
        try:
            model.warm_up(stop)
        except BaseException:
            model.close()
            raise
        self._model = model
        self._conversation = Conversation(library.load(), model)
        return Loaded(
            load_s=time.perf_counter() - started,
            context_tokens=model.context_tokens,
            trained_context_tokens=model.trained_context_tokens,
            batch_tokens=model.batch_tokens,
            threads=model.threads,
            kv_cache_type=settings.kv_cache_type,
            kv_cache_bytes=model.kv_cache_bytes,
            weights_bytes=model.weights_bytes,
            parameter_count=model.parameter_count,
            description=model.description,
            has_chat_template=model.chat_template is not None,
        )

    def generate(
        self, command: Generate, arrived_ns: int, emit: Callable[[SessionEvent], None], stop: StopFlag
    ) -> Finished:
        """Answer with the loaded model."""
        if self._conversation is None:
            raise EdgetuiError("bad_request", "No model is loaded: load one first.")
        return self._conversation.generate(command, arrived_ns, emit, stop)

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

    def unload(self) -> None:
        """Free context and weights."""
        if self._model is not None:
            self._model.close()
        self._model = self._conversation = None
