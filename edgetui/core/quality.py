"""What a measurement of quality is asked for, and what it found: the terms are llama-perplexity's own."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

EMBEDDED_TEXT = "topics"
"""CPython's documentation topics, which are wherever Python is."""


class QualitySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Over what the quality is measured."""

    text: str = EMBEDDED_TEXT
    """`topics`, `wikitext-2`, or the path of a UTF-8 text file."""
    context_tokens: Annotated[int, Meta(ge=8, le=131_072)] = 512
    """Tokens a chunk; those of its second half are scored, as llama-perplexity does."""
    chunks: Annotated[int, Meta(ge=0, le=1_000_000)] = 16
    """How many chunks of the text; 0 for all."""
    tasks: bool = True
    """Whether the built-in tasks are tried too."""
    threads: Annotated[int, Meta(ge=0, le=1024)] = 0
    """0 takes one a physical core that this process may use."""


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
    text_name: str
    text_sha256: str
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
