"""What a model thought at each token of an answer: probabilities, ranks, what else it could have said."""

from __future__ import annotations

import msgspec


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
