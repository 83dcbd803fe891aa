"""Whether a model fits into this machine's memory: the figures by part, and what they add up to."""

from __future__ import annotations

from typing import Literal

import msgspec

KvKind = Literal["full", "window", "latent", "recurrent", "shared"]
FitVerdict = Literal["fits", "tight", "with changes", "does not fit"]
ROOMY_SHARE = 0.8
"""Of the available memory: what takes more leaves little for anything else that starts meanwhile."""


class WeightsRead(msgspec.Struct, frozen=True):
    """Weights of one tensor type that a decoded token goes through."""

    type_name: str
    """ggml's name, such as `Q4_K`."""
    weights: int
    """Multiplied and added once a token."""
    size_bytes: int
    """Read from memory once a token, whatever the batch."""


class KvLayer(msgspec.Struct, frozen=True, kw_only=True):
    """What one layer remembers of the tokens before."""

    kind: KvKind
    key_width: int = 0
    """Elements of K a token: KV heads times head size; of the latent vector where keys and values share one."""
    value_width: int = 0
    """Elements of V a token; 0 where K holds it (latent) or the layer reads another one's cache (shared)."""
    query_width: int = 0
    """Elements of Q a token: heads times head size; what attention multiplies with both K and V of every token seen."""
    head_width: int = 0
    """Elements of one head of K."""
    queries_per_head: float = 1.0
    """Query heads that share one KV head."""
    window_tokens: int = 0
    """Tokens seen at most, 0 for all; a `shared` layer may have such a window too."""
    state_bytes: int = 0
    """Whole state whatever the context, for `recurrent`."""


class ModelShape(msgspec.Struct, frozen=True, kw_only=True):
    """What decides a model's memory and speed; from a file's header or from a list of known models."""

    architecture: str
    parameter_count: int
    layers: tuple[KvLayer, ...]
    embedding_length: int
    vocabulary_size: int
    trained_context_tokens: int
    weights_bytes: int
    """All tensors."""
    read_per_token: tuple[WeightsRead, ...]
    """What one decoded token goes through: without the rows of the embedding that it does not look up, and of a
    mixture of experts only the active ones."""

    @property
    def bytes_per_token(self) -> int:
        """Weights read to decode one token, the KV cache left out."""
        return sum(part.size_bytes for part in self.read_per_token)

    @property
    def active_weights(self) -> int:
        """Weights that one token is multiplied with."""
        return sum(part.weights for part in self.read_per_token)


class MemoryParts(msgspec.Struct, frozen=True, kw_only=True):
    """Memory of a worker that holds a model, in bytes by part."""

    weights_mapped: int
    """Of the model's files, mapped; the system may drop them under pressure and must read them again."""
    weights_copied: int
    """Kept a second time, rearranged for this processor."""
    weights_read: int = 0
    """In memory of the process's own instead of mapped; adapters always."""
    kv_cache: int
    compute: int
    """Intermediate results of one batch."""
    output: int
    """Logits."""
    runtime: int
    """The process itself: interpreter, libraries, vocabulary."""

    @property
    def total(self) -> int:
        """Resident at the peak."""
        return self.weights + self.kv_cache + self.compute + self.output + self.runtime

    @property
    def weights(self) -> int:
        """Wherever they lie."""
        return self.weights_mapped + self.weights_read + self.weights_copied


class FitChange(msgspec.Struct, frozen=True):
    """One change with which the model fits."""

    what: str
    """In words, such as `a context of 4096 tokens`."""
    total_bytes: int
    """Memory with it."""


class MemoryFit(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a model fits, and why."""

    verdict: FitVerdict
    parts: MemoryParts
    available_bytes: int
    """What a process may take now."""
    context_tokens: int
    kv_cache_type: str
    trained_context_tokens: int = 0
    """0 where the file does not tell."""
    changes: tuple[FitChange, ...] = ()
    """What would make it fit, each by itself; empty when it fits as it is."""


class SpeedForecast(msgspec.Struct, frozen=True, kw_only=True):
    """Predicted rates in tok/s, with everything that they were computed from."""

    prefill_tps: float
    prefill_low_tps: float
    prefill_high_tps: float
    decode_tps: float
    decode_low_tps: float
    decode_high_tps: float
    threads: int
    context_tokens: int
    """Depth at which it decodes."""
    bytes_per_token: int
    """Weights and KV cache read for one decoded token at that depth."""
    bandwidth_bytes_per_s: float
    """Measured on this machine with so many threads."""
    efficiency: float
    """Share of that bandwidth which decode reaches, as predicted."""
    measured_rows: int
    """Real measurements on this machine that corrected it."""
    commands: tuple[str, ...]
    """Exact commands that verify it: edgetui's and llama-bench's."""
    doubt: str = ""
    """Why its inputs are not to be trusted, such as other programs at work during the calibration; empty otherwise."""


def verdict_of(total_bytes: int, available_bytes: int) -> FitVerdict:
    """`fits`, `tight` or `does not fit`, before any change."""
    if total_bytes <= available_bytes * ROOMY_SHARE:
        return "fits"
    return "tight" if total_bytes <= available_bytes else "does not fit"
