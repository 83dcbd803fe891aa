"""What else each token of an answer could have been, by llama-server.

It could tell that while it generates: `logprobs` then sorts the whole vocabulary for every token, which took 2 % of the
processor time of a token of a 135M model, and sends ten times as much. Asked afterwards it costs nothing before anyone
wants to know: the answer's tokens are taken one after another, each forced by a bias that does not enter the
probabilities told, which are those of the model before any sampler.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from edgetui.core.inspection import Alternative, InspectedToken
from edgetui.engines.server.tokens import token_ids

if TYPE_CHECKING:
    from edgetui.engines.server.link import Link
    from edgetui.worker.protocol import Finished, Generate

_FORCED = 1e6
"""Added to the logit of the token that came; no model's logits come near."""
_MOST_ALTERNATIVES = 100


class Said(NamedTuple):
    """An answer and what it answered."""

    command: Generate
    text: str
    finished: Finished


async def inspected(link: Link, said: Said, alternatives: int) -> tuple[InspectedToken, ...]:
    """The tokens of the answer as the server cuts its text; of a rank beyond the alternatives no more is known."""
    command = said.command
    prompt: Any = command.prompt
    if prompt is None:
        messages = [{"role": each.role, "content": each.content} for each in command.messages]
        shaped = await link.post("apply-template", {"messages": messages}, native=True)
        prompt = shaped.get("prompt") if isinstance(shaped, dict) else None
    if not isinstance(prompt, str):
        raise link.sentences.failure("network", "shapes no prompt: llama-server of another version?")
    before = await token_ids(link, prompt, add_special=True, parse_special=True)
    answer = await token_ids(link, said.text, add_special=False, parse_special=True)
    count = max(1, min(alternatives, _MOST_ALTERNATIVES))
    found = []
    for number, token in enumerate(answer):
        told = await link.post(
            "completion",
            {
                "prompt": before + answer[:number],
                "n_predict": 1,
                "n_probs": count,
                "temperature": 0,
                "logit_bias": [[token, _FORCED]],
                "cache_prompt": True,
                "stream": False,
            },
            native=True,
        )
        found.append(_token(link, told, count))
    return tuple(found)


def _token(link: Link, told: Any, count: int) -> InspectedToken:
    try:
        chosen = told["completion_probabilities"][0]
        others = [Alternative(str(each["token"]), _probability(each)) for each in chosen["top_logprobs"][:count]]
        ids = [each["id"] for each in chosen["top_logprobs"][:count]]
        is_among = chosen["id"] in ids
        return InspectedToken(
            text=str(chosen["token"]),
            probability=_probability(chosen),
            rank=ids.index(chosen["id"]) + 1 if is_among else len(ids) + 1,
            alternatives=tuple(others),
            is_rank_least=not is_among,
        )
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise link.sentences.failure("network", "tells no probabilities: llama-server of another version?") from error


def _probability(told: Any) -> float:
    return math.exp(min(float(told["logprob"]), 0.0))
