"""Model families and their members: what is published of a model before any of its files is here."""

from __future__ import annotations

from typing import Literal

import msgspec

Architecture = Literal["llama", "qwen2", "qwen3", "qwen3moe", "phi3", "gemma3", "gemma3n", "smollm3"]
"""llama.cpp's name."""
Task = Literal["chat", "reasoning", "code", "vision"]


class Score(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A published benchmark result; results of different conditions do not compare exactly."""

    benchmark: str
    value: float
    """Per cent."""
    conditions: str
    """Such as `instruct, 0-shot chain of thought`."""
    source: str
    """Address of the table."""


class Member(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One model of a family, as its makers describe it; lengths are in elements, the context in tokens."""

    name: str
    architecture: Architecture
    parameters: int
    """Of the language model, without parts for images or sound."""
    layers: int
    embedding: int
    feed_forward: int
    heads: int
    kv_heads: int
    head: int
    """Size of one head."""
    vocabulary: int
    context: int
    """Trained."""
    licence: str
    """As the hub names it."""
    tasks: tuple[Task, ...]
    languages: str
    """Language codes, or how many."""
    original: str
    """Hub id of the makers' own weights."""
    source: str
    """Where the figures of its shape stand."""
    tied: bool = False
    """Whether the embedding serves as the output layer too."""
    window: int = 0
    """Tokens seen by the layers that do not see all; 0 where every layer does."""
    full_every: int = 1
    """Every so many layers one sees all."""
    experts: int = 0
    active_experts: int = 0
    expert_feed_forward: int = 0
    shared_kv_layers: int = 0
    """Last layers that read an earlier layer's cache."""
    per_layer_embedding: int = 0
    gated: bool = False
    """Whether the hub asks for consent before the download."""
    gguf: str = ""
    onnx: str = ""
    mlx: str = ""
    score: Score | None = None

    @property
    def multilingual(self) -> bool:
        """Whether it is made for more than English."""
        return self.languages != "en"

    @property
    def is_open(self) -> bool:
        """Whether its licence is one of the Open Source Initiative's list, without terms of use of the maker's own."""
        return self.licence in OPEN_LICENCES


class Family(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Models of one make and generation."""

    name: str
    maker: str
    members: tuple[Member, ...]


OPEN_LICENCES = frozenset({"mit", "apache-2.0"})
