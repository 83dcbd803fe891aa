"""What every engine offers to a session worker, and what only llama.cpp's tools do beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from edgetui.core.failures import EdgetuiError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from edgetui.core.calibration import Calibration
    from edgetui.core.quant_options import QuantOptions
    from edgetui.core.run_settings import LoadSettings
    from edgetui.engines.stopping import StopFlag
    from edgetui.worker.protocol import (
        Embedded,
        EngineInfo,
        Finished,
        Generate,
        Inspected,
        Load,
        Loaded,
        MemoryEstimated,
        QuantizationPlan,
        SessionEvent,
        Tokenized,
    )


class Engine(Protocol):
    """A runtime with at most one model loaded; every method may raise `EdgetuiError`.

    `tests/engines/conformance.py` holds each of them to the same promises.
    """

    def load(self, command: Load, on_progress: Callable[[float], None], stop: StopFlag) -> Loaded:
        """Replace the loaded model; `on_progress` gets shares from 0 to 1. Raises `cancelled` when stopped."""

    def generate(
        self, command: Generate, arrived_ns: int, emit: Callable[[SessionEvent], None], stop: StopFlag
    ) -> Finished:
        """Answer; tokens go to `emit`. `arrived_ns` (`perf_counter_ns`) is the zero of all times.

        `PromptReady` comes first, a last `PrefillProgress` with all tokens done before the first `Tokens`. A stop
        ends it within 100 ms with the reason `stopped`. Raises `context_overflow` for a prompt that has no room.
        """

    def tokenize(self, text: str) -> Tokenized:
        """The text as the model's tokens, with the special ones written out in it taken as such."""

    def inspect(self, alternatives: int, stop: StopFlag) -> Inspected:
        """What else each token of the last answer could have been. Raises `bad_request` when there is none."""

    def embed(self, texts: Sequence[str], stop: StopFlag) -> Embedded:
        """A vector of length 1 for each text."""

    def unload(self) -> None:
        """Free the model; nothing happens when none is loaded."""


class Tools(Protocol):
    """What a worker of llama.cpp does without a chat."""

    def describe(self) -> EngineInfo:
        """Name, version and build."""

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


NOTHING_LOADED = "No model is loaded: load one first."


def lacks(engine: str, what: str) -> EdgetuiError:
    """The failure of an engine that is asked for what it cannot do; `what` ends `X cannot ...`."""
    return EdgetuiError("unsupported", f"{engine} cannot {what}: take a GGUF build of the model, which llama.cpp runs.")
