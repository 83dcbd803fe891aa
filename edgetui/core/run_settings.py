"""Settings of a load and of a generation, with their limits; checked here, used by every engine."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

import msgspec
from msgspec import Meta

KvCacheType = Literal["f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl"]
KV_CACHE_TYPES: tuple[KvCacheType, ...] = (
    "f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl",
)  # fmt: skip


class Adapter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A LoRA adapter laid over a model."""

    path: str
    scale: Annotated[float, Meta(ge=-100, le=100)] = 1.0


class LoadSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a model is loaded; changing any of these needs a reload."""

    context_tokens: Annotated[int, Meta(ge=0, le=16_777_216)] = 0
    """Context in tokens; 0 takes the smaller of the model's own and 8192."""
    batch_tokens: Annotated[int, Meta(ge=1, le=65_536)] = 512
    """Most tokens of a prompt handed to one decode call."""
    threads: Annotated[int, Meta(ge=0, le=1024)] = 0
    """CPU threads; 0 takes one a physical core that this process may use."""
    kv_cache_type: KvCacheType = "f16"
    """Type of the K cache, and of the V cache where that has none of its own."""
    kv_cache_type_v: KvCacheType | None = None
    """Type of the V cache; None takes the K cache's. Quantized ones need flash attention."""
    physical_batch_tokens: Annotated[int, Meta(ge=0, le=65_536)] = 0
    """Prompt tokens computed together (llama.cpp's ubatch); 0 takes the batch."""
    threads_prefill: Annotated[int, Meta(ge=0, le=1024)] = 0
    """Threads while a prompt is computed; 0 takes `threads`."""
    gpu_layers: Annotated[int, Meta(ge=-1, le=10_000)] = -1
    """Layers given to an accelerator; -1 gives all, 0 none. Without an accelerator it changes nothing."""
    flash_attention: Literal["auto", "on", "off"] = "auto"
    use_mmap: bool | None = None
    """Map the file instead of reading it into memory of the process's own; None reads it where that makes a decode
    faster (huge pages) and there is memory for twice its size."""
    huge_pages: bool = True
    """Ask the system for huge pages for weights in the process's own memory."""
    use_mlock: bool = False
    """Ask the system never to page the weights out."""
    numa: Literal["off", "distribute", "isolate", "numactl"] = "off"
    """How threads and memory are laid over NUMA nodes; holds for the worker's whole life."""
    rope_scaling: Literal["model", "none", "linear", "yarn"] = "model"
    """How positions beyond the trained context are squeezed; `model` takes what the file says."""
    rope_freq_base: Annotated[float, Meta(ge=0, le=1e12)] = 0.0
    """0 takes the model's."""
    rope_freq_scale: Annotated[float, Meta(ge=0, le=1000)] = 0.0
    """0 takes the model's; 0.5 stretches the context to twice its length."""
    adapters: tuple[Adapter, ...] = ()
    draft_model: str = ""
    """Path of a small model of the same vocabulary that proposes tokens; empty for none."""
    prompt_lookup: bool = False
    """Propose tokens from earlier places of the same conversation, without a draft model."""
    draft_tokens: Annotated[int, Meta(ge=1, le=64)] = 8
    """Most tokens proposed at once, by a draft model or by prompt lookup."""
    prompt_cache: bool = False
    """Keep the KV cache of the conversation on disk, and take it up again after a load."""


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
    presence_penalty: Annotated[float, Meta(ge=-2, le=2)] = 0.0
    frequency_penalty: Annotated[float, Meta(ge=-2, le=2)] = 0.0
    stop: tuple[str, ...] = ()
    """Texts at which the answer ends; none of them is part of it."""
    grammar: str = ""
    """GBNF that the answer must follow; empty for none."""
    json_schema: str = ""
    """JSON schema that the answer must follow; empty for none, `{}` for any JSON."""
    ignore_eos: bool = False
    """Go on past the model's end mark, as benchmarks do."""


class RunSettings(NamedTuple):
    """All that a person sets of a run."""

    load: LoadSettings
    sampling: SamplingSettings
    system_prompt: str


class ChatMessage(msgspec.Struct, frozen=True):
    """One message of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str
