"""Settings of a load and of a generation, with their limits; checked here, used by every engine."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

KvCacheType = Literal["f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl"]
KV_CACHE_TYPES: tuple[KvCacheType, ...] = (
    "f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl",
)  # fmt: skip


class LoadSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a model is loaded; changing any of these needs a reload."""

    context_tokens: Annotated[int, Meta(ge=0, le=16_777_216)] = 0
    """Context in tokens; 0 takes the smaller of the model's own and 8192."""
    batch_tokens: Annotated[int, Meta(ge=1, le=65_536)] = 512
    """Most tokens of a prompt handed to one decode call (also the physical batch)."""
    threads: Annotated[int, Meta(ge=0, le=1024)] = 0
    """CPU threads; 0 takes one a physical core that this process may use."""
    kv_cache_type: KvCacheType = "f16"
    """Type of both the K and the V cache."""


class SamplingSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the next token is chosen; may change between turns."""

    temperature: Annotated[float, Meta(ge=0, le=10)] = 0.7
    """0 is greedy."""
    top_k: Annotated[int, Meta(ge=0, le=1_000_000)] = 40
    """0 switches it off."""
    top_p: Annotated[float, Meta(gt=0, le=1)] = 0.95
    min_p: Annotated[float, Meta(ge=0, le=1)] = 0.05
    repeat_penalty: Annotated[float, Meta(ge=0.1, le=10)] = 1.0
    """1 switches it off."""
    repeat_last_tokens: Annotated[int, Meta(ge=0, le=65_536)] = 64
    """How far back the repeat penalty looks."""
    seed: Annotated[int, Meta(ge=0, le=0xFFFF_FFFF)] | None = None
    """None draws a new one each turn; the one used is reported."""
    max_tokens: Annotated[int, Meta(ge=0, le=16_777_216)] = 0
    """0 means until the model stops or the context is full."""
    ignore_eos: bool = False
    """Go on past the model's end mark, as benchmarks do."""


class ChatMessage(msgspec.Struct, frozen=True):
    """One message of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str
