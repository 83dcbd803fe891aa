"""A benchmark's settings and rows in llama-bench's terms, and how a row is named."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from edgetui.core.run_settings import KvCacheType


class BenchSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to measure: llama-bench's -p, -n, -r, -t, -b, -ctk/-ctv."""

    prompt_tokens: Annotated[int, Meta(ge=0, le=1_048_576)] = 512
    """pp N; 0 leaves prefill out."""
    generated_tokens: Annotated[int, Meta(ge=0, le=1_048_576)] = 128
    """tg N; 0 leaves decode out."""
    repetitions: Annotated[int, Meta(ge=1, le=1000)] = 5
    threads: Annotated[int, Meta(ge=0, le=1024)] = 0
    """0 takes one a physical core that this process may use."""
    batch_tokens: Annotated[int, Meta(ge=1, le=65_536)] = 512
    kv_cache_type: KvCacheType = "f16"


class BenchRow(msgspec.Struct, frozen=True, kw_only=True):
    """One test of one model: either pp N or tg N."""

    test: Literal["pp", "tg"]
    tokens: int
    """N of the test."""
    samples_ns: tuple[int, ...]
    """Duration of each repetition; warm-up not among them."""
    threads: int
    batch_tokens: int
    kv_cache_type: str
    model_name: str
    model_path: str
    model_size_bytes: int
    model_parameter_count: int
    model_quant_type: str
    engine: str
    engine_version: str
    measured_at: float
    """Unix time in seconds."""
    load_average: float | None
    """One-minute load of the machine before the test began."""

    @property
    def name(self) -> str:
        """llama-bench's name of the test: `pp512`, `tg128`."""
        return f"{self.test}{self.tokens}"

    @property
    def samples_tps(self) -> tuple[float, ...]:
        """Tokens per second of each repetition."""
        return tuple(self.tokens * 1e9 / ns for ns in self.samples_ns)
