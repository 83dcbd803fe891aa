"""Work of plain ONNX Runtime sessions."""

from __future__ import annotations

from typing import ClassVar

from edgetui.core.bench import Machine
from edgetui.core.jobs import JobKind
from edgetui.core.onnx_latency import OnnxRunSettings
from edgetui.core.units import counted
from edgetui.worker.requests.base import Request


class OnnxLatencyRequest(Request, frozen=True, kw_only=True):
    """Measure the latency of a graph, whatever it computes; the history gets the row."""

    KIND: ClassVar[JobKind] = "latency"
    MEASURES: ClassVar[bool] = True

    model: str
    """Path of the graph."""
    model_name: str
    model_fingerprint: str = ""
    settings: OnnxRunSettings
    machine: Machine = Machine()
    trace: str = ""
    """Where the trace is kept; empty without profiling."""
    environment: str = ""
    """Toolchain whose ONNX Runtime runs it; empty for edgetui's own."""

    @property
    def subject(self) -> str:
        """The model's name."""
        return self.model_name

    @property
    def goal(self) -> str:
        """How often, and on what."""
        settings = self.settings
        how = f"{counted(settings.runs, 'run')}" if settings.runs else f"{settings.budget_s:g} s"
        return f"{how}, {settings.provider}{', profiled' if settings.profile else ''}"

    @property
    def output(self) -> str | None:
        """The trace."""
        return self.trace or None

    @property
    def toolchain(self) -> str:
        """The environment."""
        return self.environment
