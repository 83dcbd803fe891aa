"""Work of many steps: make builds of a model and measure each."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import msgspec

from edgetui.core.bench import BenchSettings, Machine
from edgetui.core.jobs import JobKind
from edgetui.core.models import ModelFormat
from edgetui.core.quality import MeasuredModel, QualitySettings
from edgetui.worker.requests.base import Request
from edgetui.worker.requests.llama_cpp import ImatrixRequest, QuantizeRequest
from edgetui.worker.requests.workflow import WorkflowRequest

MakeRequest = QuantizeRequest | ImatrixRequest | WorkflowRequest
"""What a sweep may run before it measures."""


class SweepCell(msgspec.Struct, frozen=True, kw_only=True):
    """One build: how it is made, and what it is."""

    cell_id: str
    """Short and fit for a folder's name; tells it from the sweep's other cells."""
    label: str
    toolchain: str
    source_name: str
    model_name: str
    model_path: str
    """What the last of `makes` makes, or a model that is here: `ModelEntry.path`, or the folder of one."""
    model_format: ModelFormat
    base: MeasuredModel
    """What its quality is measured against."""
    quant_type: str = ""
    bench: BenchSettings | None = None
    """How its speed is measured, where its engine is too slow here for what the others are measured with."""
    makes: tuple[MakeRequest, ...] = ()
    """Run in this order; one that several cells share is run once."""
    temporary: tuple[str, ...] = ()
    """Paths that are removed once no cell needs them."""


class SweepRequest(Request, frozen=True, kw_only=True):
    """Make builds of a model, one after another, and measure size, quality, speed and memory of each."""

    KIND: ClassVar[JobKind] = "sweep"
    MEASURES: ClassVar[bool] = True

    source_name: str
    cells: tuple[SweepCell, ...]
    quality: QualitySettings | None = QualitySettings()
    """None leaves quality out."""
    bench: BenchSettings | None = BenchSettings()
    """None leaves speed out."""
    machine: Machine = Machine()
    baselines: str
    """Folder in which the base's log-probabilities are kept."""
    headroom_bytes: int = 0
    """Free space that must remain on the disk."""

    def partials(self, job_id: str) -> tuple[Path, ...]:
        """What is made only to be measured; folders that hold nothing else."""
        return tuple(sorted({Path(path).parent for cell in self.cells for path in cell.temporary}))

    @property
    def subject(self) -> str:
        """The sources."""
        return self.source_name

    @property
    def goal(self) -> str:
        """How many builds."""
        return f"{len(self.cells)} builds"
