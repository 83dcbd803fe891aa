"""What else each token of the last answer could have been: its logits, computed anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy

from edgetui.core.failures import EdgetuiError
from edgetui.core.inspection import Alternative, InspectedToken
from edgetui.engines.llama_cpp import library
from edgetui.engines.llama_cpp.logit_rows import LogitRows, probabilities
from edgetui.engines.llama_cpp.native_params import OUTPUT_ROWS
from edgetui.worker.protocol import Inspected

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgetui.engines.llama_cpp.conversation import Conversation
    from edgetui.engines.llama_cpp.model import LoadedModel
    from edgetui.engines.stopping import StopFlag


def inspect_answer(conversation: Conversation, model: LoadedModel, alternatives: int, stop: StopFlag) -> Inspected:
    """Cut the cache back to the prompt and compute the answer's tokens again, a few together, with all their logits.

    The cache ends as it was. Raises `EdgetuiError`: `bad_request` without an answer, `cancelled`.
    """
    tokens, start, cache = conversation.tokens, conversation.answer_start, conversation.cache
    answer = tokens[start:]
    if not answer:
        raise EdgetuiError("bad_request", "There is no answer to look into yet: let the model say something first.")
    model.watch(stop)
    # The logits of each token stand behind the one before it.
    cache.keep(start - 1)
    inputs = tokens[: len(tokens) - 1]
    step = min(OUTPUT_ROWS, model.output_rows)
    rows = LogitRows(library.load(), model)
    found: list[InspectedToken] = []
    while len(cache.tokens) < len(inputs):
        place = len(cache.tokens)
        # Only where the cache could not be cut back to the prompt, but had to be emptied.
        is_prompt = place < start - 1
        end = min(place + model.batch_tokens, start - 1) if is_prompt else place + step
        if not cache.decode(inputs[place:end], every_row=not is_prompt):
            # What is missing in the cache now, the next turn computes.
            raise EdgetuiError("cancelled", "Looking into the answer was stopped.")
        if not is_prompt:
            for row, token in enumerate(tokens[place + 1 : end + 1]):
                found.append(_inspected(conversation, rows.row(row), token, alternatives))
    return Inspected(tokens=tuple(found))


def _inspected(
    conversation: Conversation, logits: NDArray[numpy.float32], token: int, alternatives: int
) -> InspectedToken:
    shares = probabilities(logits)
    count = min(alternatives, len(shares))
    likeliest = numpy.argpartition(shares, -count)[-count:] if count else []
    order = sorted((int(each) for each in likeliest), key=lambda each: (-shares[each], each))
    possible = shares[shares > 0]
    smallest = numpy.finfo(numpy.float32).tiny
    return InspectedToken(
        text=_text(conversation, token),
        probability=float(max(shares[token], smallest)),
        rank=int((shares > shares[token]).sum()) + 1,
        alternatives=tuple(
            Alternative(_text(conversation, each), float(max(shares[each], smallest))) for each in order
        ),
        entropy_bits=float(-(possible * numpy.log2(possible)).sum()),
    )


def _text(conversation: Conversation, token: int) -> str:
    return conversation.vocabulary.piece(token, special=True).decode("utf-8", "replace")
