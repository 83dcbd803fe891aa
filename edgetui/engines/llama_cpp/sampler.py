"""The native sampler chain for a set of sampling settings, alone or within a grammar."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

from edgetui.core.failures import EdgetuiError
from edgetui.engines.llama_cpp.grammar import gbnf_of, grammar_sampler

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgetui.core.run_settings import SamplingSettings
    from edgetui.engines.llama_cpp.model import LoadedModel


class Sampler:
    """Owns a native chain: penalties, top-k, top-p, min-p, temperature, then the draw (llama.cpp's own order).

    A selection of candidates by numpy before the chain was tried: with the caches as cold as a decode leaves them it
    takes twice as long as llama.cpp's own walk over a vocabulary of 49,152 tokens, and numpy costs 14 MiB.
    """

    has_grammar = False

    def __init__(self, lib: Any, model: LoadedModel, settings: SamplingSettings, seed: int) -> None:
        self._lib = lib
        self._context = model.context
        penalizes = (
            settings.repeat_penalty != 1.0 or settings.presence_penalty != 0.0 or settings.frequency_penalty != 0.0
        )
        self.remembers = settings.repeat_last_tokens if penalizes else 0
        """Tokens of the prompt that the penalties want to know of."""
        params = lib.llama_sampler_chain_default_params()
        params.no_perf = True
        self._chain = lib.llama_sampler_chain_init(params)
        if self.remembers:
            self._add(
                lib.llama_sampler_init_penalties(
                    int(lib.llama_vocab_n_tokens(model.vocab)),
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

    def accept(self, token: int) -> None:
        """Tell the penalties of a token of the prompt."""
        self._lib.llama_sampler_accept(self._chain, token)

    def sample(self, row: int = -1) -> int:
        """Choose a token from one row of the last logits and remember it."""
        return int(self._lib.llama_sampler_sample(self._chain, self._context, row))

    def close(self) -> None:
        """Free the chain and its samplers."""
        if self._chain:
            self._lib.llama_sampler_free(self._chain)
            self._chain = None

    def _add(self, sampler: Any) -> None:
        self._lib.llama_sampler_chain_add(self._chain, sampler)


class GrammarSampler(Sampler):
    """Chooses as the chain does, among the tokens that a grammar allows.

    The chain chooses first and the grammar is asked of its choice; only where that is not allowed, of every token.
    llama.cpp ends the process when a grammar is told of a token that it does not allow, so none ever is.
    """

    has_grammar = True

    def __init__(self, lib: Any, model: LoadedModel, settings: SamplingSettings, seed: int, gbnf: str) -> None:
        """Raises `EdgetuiError("bad_request")` for a grammar that does not parse."""
        import numpy

        from edgetui.engines.llama_cpp.logit_rows import LogitRows

        self._grammar = grammar_sampler(lib, model.vocab, gbnf)
        super().__init__(lib, model, settings, seed)
        self._rows = LogitRows(lib, model)
        size = self._rows.size
        # As `llama_token_data`.
        kinds = [("id", numpy.int32), ("logit", numpy.float32), ("p", numpy.float32)]
        self._candidates: NDArray[Any] = numpy.zeros(size, kinds)
        self._all_tokens: NDArray[Any] = numpy.arange(size, dtype=numpy.int32)
        self._array = lib.llama_token_data_array()
        self._data = self._candidates.ctypes.data_as(lib.llama_token_data_p)

    def sample(self, row: int = -1) -> int:
        """As for any sampler; raises `EdgetuiError("bad_request")` when the grammar allows no token."""
        logits = self._rows.row(row)
        token = self._draw(self._all_tokens, logits)
        if not len(self._allowed(self._all_tokens[token : token + 1])):
            allowed = self._allowed(self._all_tokens)
            if not len(allowed):
                raise EdgetuiError(
                    "bad_request",
                    "The grammar allows no token of this model here, so the answer cannot go on: correct the grammar.",
                )
            token = self._draw(allowed, logits[allowed])
        self._lib.llama_sampler_accept(self._grammar, token)
        self._lib.llama_sampler_accept(self._chain, token)
        return token

    def close(self) -> None:
        """Free the chain and the grammar."""
        super().close()
        if self._grammar:
            self._lib.llama_sampler_free(self._grammar)
            self._grammar = None

    def _draw(self, tokens: NDArray[Any], logits: NDArray[Any]) -> int:
        """Let the chain choose among these tokens."""
        self._apply(self._chain, tokens, logits)
        return int(self._array.data[self._array.selected].id)

    def _allowed(self, tokens: NDArray[Any]) -> NDArray[Any]:
        """Those of these tokens that the grammar lets through."""
        import numpy

        self._apply(self._grammar, tokens, 0.0)
        return tokens[numpy.isfinite(self._candidates["logit"][: len(tokens)])]

    def _apply(self, sampler: Any, tokens: NDArray[Any], logits: Any) -> None:
        candidates, array = self._candidates[: len(tokens)], self._array
        candidates["id"], candidates["logit"] = tokens, logits
        # Samplers move the pointer and leave their choice behind.
        array.data, array.size, array.selected, array.sorted = self._data, len(tokens), -1, False
        self._lib.llama_sampler_apply(sampler, ctypes.byref(array))


def make_sampler(lib: Any, model: LoadedModel, settings: SamplingSettings, seed: int) -> Sampler:
    """The sampler for these settings; raises `EdgetuiError("bad_request")` for a grammar or schema that is none."""
    gbnf = gbnf_of(settings)
    return GrammarSampler(lib, model, settings, seed, gbnf) if gbnf else Sampler(lib, model, settings, seed)
