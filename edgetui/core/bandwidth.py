"""How much of a machine's memory bandwidth decode uses: the bytes that each token reads, at the rate measured."""

from __future__ import annotations

import msgspec

from edgetui.core.fit import ModelShape
from edgetui.core.speed_forecast import kv_bytes_read


class BandwidthLimit(msgspec.Struct, frozen=True, kw_only=True):
    """What bounds the decode of one model with one number of threads."""

    shape: ModelShape
    bytes_per_s: float
    """Calibrated: weights streamed from memory by so many threads."""
    kv_cache_type: str
    kv_cache_type_v: str

    def bytes_per_token(self, context_tokens: int) -> int:
        """Weights and KV cache that one token reads after so many others."""
        keys, values = (
            kv_bytes_read(self.shape, context_tokens, kind) for kind in (self.kv_cache_type, self.kv_cache_type_v)
        )
        return self.shape.bytes_per_token + (keys + values) // 2

    def share(self, decode_tps: float, context_tokens: int) -> float:
        """Share of the bandwidth that this rate takes; above 1 where a cache holds part of what is read."""
        return self.bytes_per_token(context_tokens) * decode_tps / self.bytes_per_s
