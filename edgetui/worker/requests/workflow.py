"""Work of the toolchains."""

from __future__ import annotations

from typing import ClassVar

from edgetui.core.jobs import JobKind
from edgetui.core.models import ModelFormat
from edgetui.core.workflows import AnyWorkflow
from edgetui.worker.requests.base import Request

_KINDS: dict[str, JobKind] = {"onnx": "onnx", "olive": "olive", "mlx": "mlx"}


class WorkflowRequest(Request, frozen=True, kw_only=True):
    """Make a model of another by a workflow."""

    source: str
    """`ModelEntry.path`: the file to hand to an engine; further files lie beside it."""
    source_name: str
    source_format: ModelFormat
    target: str
    """Final path of the file or folder; the job works beside it under a hidden name."""
    settings: AnyWorkflow
    recovered_from: str | None = None
    """Quantization type that the source's weights passed through."""

    KIND: ClassVar[JobKind] = "convert"

    @property
    def kind(self) -> JobKind:
        """By toolchain."""
        return _KINDS.get(self.settings.TOOLCHAIN, "convert")

    @property
    def subject(self) -> str:
        """The source."""
        return self.source_name

    @property
    def goal(self) -> str:
        """What the result's name will end with."""
        return self.settings.suffix

    @property
    def output(self) -> str | None:
        """The target."""
        return self.target

    @property
    def toolchain(self) -> str:
        """The workflow's."""
        return self.settings.TOOLCHAIN
