"""The native sampler chain for a set of sampling settings, over as few candidates as it needs."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

import numpy

from edgetui.core.failures import EdgetuiError
from edgetui.engines.llama_cpp.grammar import gbnf_of, grammar_sampler

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgetui.core.run_settings import SamplingSettings
    from edgetui.engines.llama_cpp.logit_rows import LogitRows

_CANDIDATE = numpy.dtype([("id", numpy.int32), ("logit", numpy.float32), ("p", numpy.float32)])
"""`llama_token_data`."""
_WIDEST = 64.0
"""Logits further apart than this: the distribution is so flat that no selection saves anything."""


class Sampler:
    """Owns a native chain: penalties, top-k, top-p, min-p, temperature, then the draw (llama.cpp's own order).

    Handing llama.cpp a whole vocabulary costs a hundredth of a small model's token, so the chain gets the tokens that
    its top-k may choose from and no others: the result is the same.
    """

    def __init__(self, lib: Any, vocab: Any, rows: LogitRows, settings: SamplingSettings, seed: int) -> None:
        """Raises `EdgetuiError("bad_request")` for a grammar that does not parse."""
        self._lib = lib
        self._rows = rows
        self._size = size = int(lib.llama_vocab_n_tokens(vocab))
        self._chain = self._grammar = None
        gbnf = gbnf_of(settings)
        if gbnf:
            self._grammar = grammar_sampler(lib, vocab, gbnf)
        self.has_grammar = bool(gbnf)
        penalizes = (
            settings.repeat_penalty != 1.0 or settings.presence_penalty != 0.0 or settings.frequency_penalty != 0.0
        )
        self.remembers = settings.repeat_last_tokens if penalizes else 0
        """Tokens of the prompt that the penalties want to know of."""
        self._is_plain_greedy = settings.temperature == 0 and not self.remembers
        self._wanted = self._candidates_wanted(settings)
        self._gap = 8.0
        self._candidates: NDArray[Any] = numpy.zeros(size, _CANDIDATE)
        self._array = lib.llama_token_data_array()
        self._data = self._candidates.ctypes.data_as(lib.llama_token_data_p)
        self._all_tokens: NDArray[Any] = numpy.arange(size, dtype=numpy.int32)
        self._make_chain(settings, seed)

    def accept(self, token: int) -> None:
        """Tell the penalties of a token of the prompt."""
        self._lib.llama_sampler_accept(self._chain, token)

    def sample(self, row: int = -1) -> int:
        """Choose a token from one row of the last logits and remember it.

        Raises `EdgetuiError("bad_request")` when the grammar allows none.
        """
        logits = self._rows.row(row)
        token = self._choose(logits)
        if self._grammar is not None:
            if not self._allows(token):
                token = self._choose_by_grammar(logits)
            self._lib.llama_sampler_accept(self._grammar, token)
        if self.remembers:
            self._lib.llama_sampler_accept(self._chain, token)
        return token

    def close(self) -> None:
        """Free the chain and its samplers."""
        for sampler in (self._chain, self._grammar):
            if sampler:
                self._lib.llama_sampler_free(sampler)
        self._chain = self._grammar = None

    def _choose(self, logits: NDArray[numpy.float32]) -> int:
        if self._is_plain_greedy:
            return int(logits.argmax())
        chosen = self._select(logits)
        return self._draw(self._all_tokens if chosen is None else chosen, logits)

    def _select(self, logits: NDArray[numpy.float32]) -> NDArray[numpy.int64] | None:
        """Tokens within a distance of the likeliest that holds at least as many as are wanted; None for all."""
        if not self._wanted:
            return None
        most = float(logits.max())
        while self._gap < _WIDEST:
            chosen = numpy.flatnonzero(logits >= most - self._gap)
            if len(chosen) >= self._wanted:
                if len(chosen) > 8 * self._wanted:
                    self._gap *= 0.9
                return chosen
            self._gap *= 1.3
        self._gap = 8.0
        return None

    def _draw(self, tokens: NDArray[Any], logits: NDArray[numpy.float32]) -> int:
        """Let the chain choose among these tokens."""
        count = len(tokens)
        candidates = self._candidates[:count]
        candidates["id"] = tokens
        candidates["logit"] = logits if count == self._size else logits[tokens]
        self._point_at(count)
        self._lib.llama_sampler_apply(self._chain, ctypes.byref(self._array))
        return int(self._array.data[self._array.selected].id)

    def _allows(self, token: int) -> bool:
        self._candidates[0] = (token, 0.0, 0.0)
        self._point_at(1)
        self._lib.llama_sampler_apply(self._grammar, ctypes.byref(self._array))
        return bool(numpy.isfinite(self._candidates["logit"][0]))

    def _choose_by_grammar(self, logits: NDArray[numpy.float32]) -> int:
        """Ask the grammar of every token; that takes long, so it is done where the likeliest is not allowed."""
        self._candidates["id"] = self._all_tokens
        self._candidates["logit"] = logits
        self._point_at(self._size)
        self._lib.llama_sampler_apply(self._grammar, ctypes.byref(self._array))
        allowed = numpy.flatnonzero(numpy.isfinite(self._candidates["logit"]))
        if not len(allowed):
            raise EdgetuiError(
                "bad_request",
                "The grammar allows no token of this model here, so the answer cannot go on: correct the grammar.",
            )
        return self._draw(allowed, logits)

    def _point_at(self, count: int) -> None:
        # Samplers move the pointer and leave their choice behind.
        array = self._array
        array.data, array.size, array.selected, array.sorted = self._data, count, -1, False

    def _candidates_wanted(self, settings: SamplingSettings) -> int:
        """How many of the likeliest tokens hold all that top-k can choose; 0 when it may be any."""
        if settings.temperature == 0 or not settings.top_k:
            return 0
        if settings.repeat_penalty < 1 or settings.presence_penalty < 0 or settings.frequency_penalty < 0:
            # A penalty that is a reward lifts tokens from anywhere.
            return 0
        # Each token that a penalty pushes down lets one more come up.
        return min(settings.top_k + self.remembers, self._size)

    def _make_chain(self, settings: SamplingSettings, seed: int) -> None:
        lib = self._lib
        params = lib.llama_sampler_chain_default_params()
        params.no_perf = True
        self._chain = lib.llama_sampler_chain_init(params)
        if self.remembers:
            self._add(
                lib.llama_sampler_init_penalties(
                    self._size,
                    settings.repeat_last_tokens,
                    settings.repeat_penalty,
                    settings.frequency_penalty,
                    settings.presence_penalty,
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

    def _add(self, sampler: Any) -> None:
        self._lib.llama_sampler_chain_add(self._chain, sampler)
