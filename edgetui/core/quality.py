"""What a measurement of quality is asked for, and what it found: the terms are llama-perplexity's own."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from edgetui.core.models import ModelEntry, ModelFormat
from edgetui.core.statistics import Interval, wilson_interval

EMBEDDED_TEXT = "topics"
"""CPython's documentation topics, which are wherever Python is."""
WIKITEXT = "wikitext-2"
"""The raw test part of WikiText-2, which published perplexities are over; it comes from the hub."""

TASK_CONTEXT_TOKENS = 256
"""Room that the longest built-in task takes in any vocabulary."""
CHUNKS = "chunks"
"""Unit of the progress."""


class QualitySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Over what the quality is measured."""

    text: str = EMBEDDED_TEXT
    """`topics`, `wikitext-2`, or the path of a UTF-8 text file."""
    context_tokens: Annotated[int, Meta(ge=24, le=131_072)] = 512
    """Tokens a chunk; those of its second half are scored, as llama-perplexity does, and of fewer no error is known."""
    chunks: Annotated[int, Meta(ge=0, le=1_000_000)] = 16
    """How many chunks of the text; 0 for all."""
    tasks: bool = True
    """Whether the built-in tasks are tried too."""
    threads: Annotated[int, Meta(ge=0, le=1024)] = 0
    """0 takes one a physical core that this process may use."""


class MeasuredModel(msgspec.Struct, frozen=True, kw_only=True):
    """What a measurement needs to know of a model on this machine."""

    name: str
    path: str
    """The file to hand to an engine."""
    parts: tuple[str, ...]
    """Every file of the model, in order."""
    format: ModelFormat
    size_bytes: int
    quant_type: str = ""
    fingerprint: str = ""
    """By which its content is known again; empty where nobody has read it yet."""

    @classmethod
    def of(cls, entry: ModelEntry) -> MeasuredModel:
        """A model as the catalog lists it."""
        return cls(
            name=entry.name,
            path=str(entry.path),
            parts=tuple(map(str, entry.parts)),
            format=entry.format,
            size_bytes=entry.size_bytes,
            quant_type=entry.quant_type or "",
            fingerprint=entry.fingerprint,
        )


class MeasuredText(msgspec.Struct, frozen=True, kw_only=True):
    """A text, ready to be read by any engine."""

    name: str
    """As a row tells it."""
    path: str
    """Of a UTF-8 file."""
    sha256: str


class Estimate(msgspec.Struct, frozen=True):
    """A figure with its standard error, in the unit of the figure."""

    value: float
    error: float


class Divergence(msgspec.Struct, frozen=True, kw_only=True):
    """How far a model's predictions are from its unquantized parent's, over the scored tokens; natural logarithms."""

    mean: Estimate
    """Mean KL divergence of the model from the parent, in nats."""
    median: float
    p99: float
    maximum: float
    same_top1: Estimate
    """Share of tokens for which both find the same token likeliest, 0 to 1."""
    same_top5: Estimate
    """Mean share of the parent's five likeliest tokens that are among the model's five, 0 to 1."""
    mean_dp: Estimate
    """Mean change of the right token's probability, -1 to 1."""
    rms_dp: Estimate
    """Root mean square of that change, 0 to 1."""
    ln_perplexity_ratio: Estimate
    """Natural logarithm of the perplexity over the parent's, of the same tokens."""
    base_perplexity: Estimate


class TaskScore(msgspec.Struct, frozen=True, kw_only=True):
    """How many of the built-in tasks of one kind were answered exactly."""

    kind: str
    """`arithmetic`, `extraction`, `format`."""
    right: int
    asked: int

    @property
    def share(self) -> float:
        """Right ones, 0 to 1."""
        return self.right / self.asked if self.asked else 0.0

    @property
    def interval(self) -> Interval:
        """Wilson's 95 % interval of that share."""
        return wilson_interval(self.right, self.asked)


class QualityRow(msgspec.Struct, frozen=True, kw_only=True):
    """One measured model."""

    model_name: str
    model_path: str
    model_format: str
    model_size_bytes: int
    quant_type: str
    engine: str
    """`llama.cpp`, `onnxruntime`, `mlx`."""
    engine_version: str
    base_name: str | None
    """The unquantized parent; None where only the perplexity was measured."""
    model_fingerprint: str = ""
    base_fingerprint: str = ""
    text_name: str
    text_sha256: str
    """Of the whole text: rows over other texts do not compare."""
    context_tokens: int
    chunks: int
    scored_tokens: int
    perplexity: Estimate
    divergence: Divergence | None = None
    tasks: tuple[TaskScore, ...] = ()
    seconds: float = 0.0
    """Time of the measurement, without loading."""
    measured_at: float = 0.0
    """Unix time in seconds."""

    @property
    def sentence(self) -> str:
        """What was found, for a person."""
        told = f"{self.model_name}: perplexity {self.perplexity.value:.4f} +/- {self.perplexity.error:.4f}"
        if self.divergence is not None:
            found = self.divergence
            told += (
                f", KL divergence from {self.base_name} {found.mean.value:.5f} +/- {found.mean.error:.5f},"
                f" same likeliest token {found.same_top1.value:.1%}"
            )
        if (total := self.task_total) is not None:
            told += f", {total.right} of {total.asked} tasks right"
        return f"{told}."

    @property
    def task_total(self) -> TaskScore | None:
        """All tasks together; None where none were tried."""
        if not self.tasks:
            return None
        return TaskScore(
            kind="all", right=sum(score.right for score in self.tasks), asked=sum(score.asked for score in self.tasks)
        )


class QualityRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the history."""

    record_id: int
    job_id: str | None
    row: QualityRow
