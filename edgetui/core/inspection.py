"""What a model thought at each token of an answer: probabilities, ranks, what else it could have said."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

UNLIKELY = 0.5
"""Probability below which a token was less likely than all others together."""
VERY_UNLIKELY = 0.1
_LEAST = 1e-12
"""A probability that an engine rounds to 0 would make every mean infinite."""


class Alternative(msgspec.Struct, frozen=True):
    """What a token could have been."""

    text: str
    probability: float
    """Of the softmax over the whole vocabulary, before any sampler (temperature 1)."""


class InspectedToken(msgspec.Struct, frozen=True):
    """One token of an answer with what stood beside it."""

    text: str
    probability: float
    rank: int
    """1 for the likeliest."""
    alternatives: tuple[Alternative, ...]
    """The likeliest first; the chosen one is among them when its rank is so low."""
    entropy_bits: float | None = None
    """Of the distribution over the whole vocabulary; None where the engine does not have all of it."""
    is_rank_least: bool = False
    """Whether the rank may be higher: the engine told the likeliest tokens only, and this was none of them."""

    @property
    def rank_text(self) -> str:
        """The rank, or what it is beyond."""
        return f"> {self.rank - 1:,}" if self.is_rank_least else f"{self.rank:,}"

    @property
    def log_probability(self) -> float:
        """Natural logarithm of the probability."""
        return math.log(max(self.probability, _LEAST))

    @property
    def chosen_alternative(self) -> int | None:
        """Which of the alternatives was taken; None when it is not among them."""
        return self.rank - 1 if self.rank <= len(self.alternatives) else None


class AnswerLikelihood(msgspec.Struct, frozen=True):
    """How likely a whole answer was to the model."""

    tokens: int
    mean_log_probability: float
    """Natural logarithm, a token."""
    perplexity: float
    """exp(-mean log-probability)."""
    likeliest: int
    """Tokens of rank 1."""
    unlikely: int
    """Tokens below `UNLIKELY`."""
    very_unlikely: int
    """Tokens below `VERY_UNLIKELY`."""


def likelihood(tokens: Sequence[InspectedToken]) -> AnswerLikelihood | None:
    """Of an answer's tokens; None without any."""
    if not tokens:
        return None
    mean = sum(token.log_probability for token in tokens) / len(tokens)
    return AnswerLikelihood(
        tokens=len(tokens),
        mean_log_probability=mean,
        perplexity=math.exp(-mean),
        likeliest=sum(token.rank == 1 for token in tokens),
        unlikely=sum(token.probability < UNLIKELY for token in tokens),
        very_unlikely=sum(token.probability < VERY_UNLIKELY for token in tokens),
    )
