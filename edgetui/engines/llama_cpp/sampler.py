"""The native sampler chain for a set of sampling settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgetui.core.run_settings import SamplingSettings


class SamplerChain:
    """Owns a native chain: penalties, top-k, top-p, min-p, temperature, then the draw (llama.cpp's own order)."""

    def __init__(self, lib: Any, vocabulary_size: int, settings: SamplingSettings, seed: int) -> None:
        self._lib = lib
        params = lib.llama_sampler_chain_default_params()
        params.no_perf = True
        self._chain = lib.llama_sampler_chain_init(params)
        self.remembers = settings.repeat_last_tokens if settings.repeat_penalty != 1.0 else 0
        """Tokens of the prompt that the penalties want to know of."""
        if self.remembers:
            self._add(
                lib.llama_sampler_init_penalties(
                    vocabulary_size, settings.repeat_last_tokens, settings.repeat_penalty, 0.0, 0.0
                )
            )
        if settings.temperature == 0:
            self._add(lib.llama_sampler_init_greedy())
            return
        if settings.top_k:
            self._add(lib.llama_sampler_init_top_k(settings.top_k))
        if settings.top_p < 1:
            self._add(lib.llama_sampler_init_top_p(settings.top_p, 1))
        if settings.min_p > 0:
            self._add(lib.llama_sampler_init_min_p(settings.min_p, 1))
        self._add(lib.llama_sampler_init_temp(settings.temperature))
        self._add(lib.llama_sampler_init_dist(seed))

    def accept(self, token: int) -> None:
        """Tell the chain of a token that it did not choose itself."""
        self._lib.llama_sampler_accept(self._chain, token)

    def sample(self, context: Any) -> int:
        """Choose the next token from the last logits; the chain remembers it."""
        return int(self._lib.llama_sampler_sample(self._chain, context, -1))

    def close(self) -> None:
        """Free the chain and its samplers."""
        if self._chain:
            self._lib.llama_sampler_free(self._chain)
            self._chain = None

    def _add(self, sampler: Any) -> None:
        self._lib.llama_sampler_chain_add(self._chain, sampler)
