"""The body of a request as it is sent: what was asked for, and how the answer shall come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from edgetui.core.server_request import program_name, request_body

if TYPE_CHECKING:
    from collections.abc import Set

    from edgetui.core.server_request import ServerKind
    from edgetui.engines.server.kinds import ServerModel
    from edgetui.worker.protocol import Generate


DISPENSABLE = frozenset({"temperature", "top_p", "seed", "max_tokens", "presence_penalty", "frequency_penalty"})
"""What an answer can do without where a server refuses it, as OpenAI's reasoning models refuse most."""


def without(body: dict[str, Any], refused: Set[str]) -> dict[str, Any]:
    """The request in the words that are left; a limit of tokens has a newer word."""
    left = {name: value for name, value in body.items() if name not in refused}
    if "max_tokens" in refused and "max_tokens" in body:
        left["max_completion_tokens"] = body["max_tokens"]
    return left


def generation_body(command: Generate, model: ServerModel, seed: int) -> dict[str, Any]:
    """Of `chat/completions`, or of `completions` for a raw prompt; raises `EdgetuiError` as `request_body` does."""
    sampling = msgspec.structs.replace(command.sampling, seed=seed)
    asked = request_body(model.kind, model.name, sampling, messages=command.messages, prompt=command.prompt)
    return asked | _as_it_streams(model.kind)


def not_taken(model: ServerModel) -> str:
    """What of the settings a server is not told, in a sentence; empty where that is nothing."""
    if model.takes_everything:
        return ""
    left_out = "min-p" if model.kind == "LM Studio" else "top-k, min-p, the repeat penalty"
    called = program_name(model.kind)
    return f"{called} is told everything but {left_out} and ignore-eos, which this protocol does not have."


def _as_it_streams(kind: ServerKind) -> dict[str, Any]:
    """What makes the answer come in pieces, with counts and times; it changes none of its words."""
    counted: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}
    if kind == "llama.cpp":
        # Counts and times with each token: an answer that is stopped half-way has figures too.
        return counted | {"cache_prompt": True, "timings_per_token": True, "return_progress": True}
    if kind == "vLLM":
        return counted | {"stream_options": {"include_usage": True, "continuous_usage_stats": True}}
    return counted
