"""Guesses at the next tokens, for the model to verify together: by a small model, or by what was said before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from edgetui.core.failures import EdgetuiError
from edgetui.engines.llama_cpp.kv_cache import KvCache
from edgetui.engines.llama_cpp.tokens import Vocabulary
from edgetui.engines.token_prefix import common_prefix

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetui.engines.llama_cpp.model import LoadedModel
    from edgetui.engines.stopping import StopFlag

LEAST_PROBABILITY = 0.6
"""A draft model that is less sure of a token ends its guesses there: verifying costs more than it saves."""
_LONGEST = 4
_SHORTEST = 2
"""Tokens in a row that must have been said before, for what followed them to be worth a guess."""
_PADDING_TOKENS = 128
"""Vocabularies of one family differ by so many tokens that only fill up a matrix, as llama.cpp allows too."""


class Proposer(Protocol):
    """Guesses tokens."""

    def propose(self, tokens: Sequence[int], most: int, stop: StopFlag) -> list[int]:
        """At most `most` tokens that may follow these; none when it has no idea."""


class PromptLookup:
    """What followed the last few tokens where the conversation had them before, the latest such place first."""

    def __init__(self) -> None:
        self._places: dict[tuple[int, ...], int] = {}
        """Where each run of tokens was last followed by another one."""
        self._known: list[int] = []

    def propose(self, tokens: Sequence[int], most: int, stop: StopFlag) -> list[int]:
        """By the longest run that is found."""
        self._learn(tokens)
        for size in range(min(_LONGEST, len(tokens) - 1), _SHORTEST - 1, -1):
            if (place := self._places.get(tuple(tokens[-size:]))) is not None:
                return list(tokens[place : place + most])
        return []

    def _learn(self, tokens: Sequence[int]) -> None:
        """Note the runs that end before the last token; those of another conversation are forgotten."""
        # Answers only grow, so a look at the end of what is known tells whether it still holds.
        known = len(self._known)
        if known > len(tokens) or self._known[-16:] != list(tokens[max(0, known - 16) : known]):
            self._places.clear()
            self._known = []
        for end in range(max(1, len(self._known)), len(tokens)):
            for size in range(_SHORTEST, _LONGEST + 1):
                if end >= size:
                    self._places[tuple(tokens[end - size : end])] = end
        self._known = list(tokens)


class DraftModel:
    """A small model of the same vocabulary that goes on greedily by itself."""

    def __init__(self, lib: Any, model: LoadedModel) -> None:
        from edgetui.engines.llama_cpp.logit_rows import LogitRows, probabilities

        self._model = model
        self._cache = KvCache(lib, model)
        self._rows = LogitRows(lib, model)
        self._probabilities = probabilities

    def propose(self, tokens: Sequence[int], most: int, stop: StopFlag) -> list[int]:
        """Until it is not sure, its context ends or it is stopped."""
        self._model.watch(stop)
        cache = self._cache
        most = min(most, self._model.context_tokens - len(tokens))
        if most <= 0:
            return []
        cache.keep(min(common_prefix(cache.tokens, tokens), len(tokens) - 1))
        while len(cache.tokens) < len(tokens):
            start = len(cache.tokens)
            if not cache.decode(list(tokens[start : start + self._model.batch_tokens])):
                return []
        guesses: list[int] = []
        while True:
            shares = self._probabilities(self._rows.row(-1))
            token = int(shares.argmax())
            if shares[token] < LEAST_PROBABILITY:
                return guesses
            guesses.append(token)
            if len(guesses) >= most or not cache.decode([token]):
                return guesses


def require_same_vocabulary(lib: Any, model: LoadedModel, draft: LoadedModel) -> None:
    """Raise `EdgetuiError("unsupported")` for a draft model whose tokens mean something else."""
    ours, theirs = Vocabulary(lib, model.vocab), Vocabulary(lib, draft.vocab)
    is_same = (
        lib.llama_vocab_type(model.vocab) == lib.llama_vocab_type(draft.vocab)
        and ours.bos_text == theirs.bos_text
        and ours.eos_text == theirs.eos_text
        and abs(ours.size - theirs.size) <= _PADDING_TOKENS
        and all(
            lib.llama_vocab_get_text(model.vocab, token) == lib.llama_vocab_get_text(draft.vocab, token)
            for token in range(min(ours.size, theirs.size))
        )
    )
    if not is_same:
        raise EdgetuiError(
            "unsupported",
            f"{draft.path.name} cannot draft for {model.path.name}, since its tokens are others: take a small model of"
            " the same family.",
        )


def can_take_back(lib: Any, model: LoadedModel) -> bool:
    """Whether a wrong guess can be cut off again; the state of a recurrent model cannot."""
    return not (lib.llama_model_is_recurrent(model.model) or lib.llama_model_is_hybrid(model.model))
