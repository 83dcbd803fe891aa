"""What a token could have been, by the logits that it was chosen from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetui.core.inspection import Alternative, InspectedToken

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    from edgetui.engines.token_spelling import Spelling


def inspected_token(
    logits: NDArray[numpy.float32], chosen: int, alternatives: int, vocabulary: Spelling
) -> InspectedToken:
    """The chosen token with its probability and rank, and the likeliest ones."""
    import numpy

    shares = numpy.exp(logits.astype(numpy.float64) - float(logits.max()))
    shares /= shares.sum()
    count = min(alternatives, len(logits))
    likeliest = numpy.argpartition(shares, len(shares) - count)[len(shares) - count :]
    likeliest = likeliest[numpy.argsort(-shares[likeliest], kind="stable")]
    possible = shares[shares > 0]
    return InspectedToken(
        text=vocabulary.text_of(chosen),
        probability=float(shares[chosen]),
        rank=int((shares > shares[chosen]).sum()) + 1,
        alternatives=tuple(
            Alternative(text=vocabulary.text_of(int(each)), probability=float(shares[each])) for each in likeliest
        ),
        entropy_bits=float(-(possible * numpy.log2(possible)).sum()),
    )
