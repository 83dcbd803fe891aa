"""Measuring quality: the whole of it, and its two steps, each of which runs where its model's engine is."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import msgspec

from edgetui.core.jobs import JobKind
from edgetui.core.quality import MeasuredModel, MeasuredText, QualitySettings
from edgetui.core.toolchains import ENGINE_TOOLCHAIN
from edgetui.worker.requests.base import Request, hidden_beside

if TYPE_CHECKING:
    from pathlib import Path


class Task(msgspec.Struct, frozen=True):
    """One built-in task, as plain text."""

    kind: str
    """`arithmetic`, `extraction`, `format`."""
    prompt: str
    answer: str
    """What must come next, its end of line included."""


class QualityRequest(Request, frozen=True, kw_only=True):
    """Measure a model, beside its unquantized parent where one is named; journal and history get the row."""

    KIND: ClassVar[JobKind] = "quality"

    model: MeasuredModel
    base: MeasuredModel | None
    settings: QualitySettings
    baselines: str
    """Folder in which parents' log-probabilities are kept."""
    headroom_bytes: int = 0
    """Free space that must remain on its disk."""

    @property
    def subject(self) -> str:
        """The model's name."""
        return self.model.name

    @property
    def goal(self) -> str:
        """What is measured."""
        return "perplexity" if self.base is None else f"against {self.base.name}"


class BaselineRequest(Request, frozen=True, kw_only=True):
    """Write the log-probabilities of a parent over a text."""

    KIND: ClassVar[JobKind] = "quality"

    model: MeasuredModel
    text: MeasuredText
    context_tokens: int
    chunks: int
    threads: int
    target: str
    mark: str
    """Tells the hidden file of this job from those of others that make the same."""
    headroom_bytes: int = 0

    @property
    def subject(self) -> str:
        """The parent's name."""
        return self.model.name

    @property
    def goal(self) -> str:
        """What is made."""
        return "baseline"

    @property
    def output(self) -> str | None:
        """The target."""
        return self.target

    @property
    def toolchain(self) -> str:
        """That of the engine that runs the format."""
        return ENGINE_TOOLCHAIN[self.model.format]

    def partials(self, job_id: str) -> tuple[Path, ...]:
        """The hidden file, by the job's own mark: steps of several jobs have the same name."""
        from pathlib import Path

        return (hidden_beside(Path(self.target), self.mark),)


class EvaluateRequest(Request, frozen=True, kw_only=True):
    """Measure a model over a baseline's tokens, or over a text by itself; the row goes to the journal."""

    KIND: ClassVar[JobKind] = "quality"

    model: MeasuredModel
    base: MeasuredModel | None
    baseline: str | None
    """Path of the parent's log-probabilities."""
    text: MeasuredText
    settings: QualitySettings
    tasks: tuple[Task, ...] = ()

    @property
    def subject(self) -> str:
        """The model's name."""
        return self.model.name

    @property
    def goal(self) -> str:
        """What is measured."""
        return "evaluation"

    @property
    def toolchain(self) -> str:
        """That of the engine that runs the format."""
        return ENGINE_TOOLCHAIN[self.model.format]
