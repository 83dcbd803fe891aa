"""Work of llama.cpp."""

from __future__ import annotations

from typing import ClassVar

from edgetui.core.bench import BenchSettings, Machine
from edgetui.core.jobs import JobKind
from edgetui.core.models import ModelFormat
from edgetui.core.toolchains import ENGINE_TOOLCHAIN
from edgetui.worker.requests.base import Request


class QuantizeRequest(Request, frozen=True, kw_only=True):
    """Quantize a GGUF file into another."""

    KIND: ClassVar[JobKind] = "quantize"

    source: str
    target: str
    """Final path; the job writes beside it under a hidden name and renames at the end."""
    type_name: str
    allow_requantize: bool = False
    threads: int = 0
    """0 takes all that this process may use."""
    predicted_bytes: int | None = None
    parent_name: str = ""
    recovered_from: str | None = None

    @property
    def subject(self) -> str:
        """The model's name."""
        return self.parent_name or self.source.rsplit("/", 1)[-1].removesuffix(".gguf")

    @property
    def goal(self) -> str:
        """The type."""
        return self.type_name

    @property
    def output(self) -> str | None:
        """The target."""
        return self.target


class BenchRequest(Request, frozen=True, kw_only=True):
    """Measure prefill and decode of a model in llama-bench's terms."""

    KIND: ClassVar[JobKind] = "bench"
    MEASURES: ClassVar[bool] = True

    model: str
    """Path of the file."""
    model_name: str
    settings: BenchSettings
    machine: Machine = Machine()
    model_format: ModelFormat = "gguf"

    @property
    def toolchain(self) -> str:
        """That of the engine that runs the format."""
        return ENGINE_TOOLCHAIN[self.model_format]

    @property
    def subject(self) -> str:
        """The model's name."""
        return self.model_name

    @property
    def goal(self) -> str:
        """The tests, such as `pp512 tg128`."""
        tests = [("pp", self.settings.prompt_tokens), ("tg", self.settings.generated_tokens)]
        return " ".join(f"{test}{tokens}" for test, tokens in tests if tokens)
