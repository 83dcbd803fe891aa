"""The body of a request: what was asked for, in the words of the server that gets it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from edgetui.core.failures import EdgetuiError
from edgetui.engines.base import lacks

if TYPE_CHECKING:
    from collections.abc import Set

    from edgetui.core.run_settings import SamplingSettings
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
    """Of `chat/completions`, or of `completions` for a raw prompt.

    Only llama.cpp and vLLM are told what OpenAI's protocol does not have; a cloud refuses words that it does not know.
    Raises `EdgetuiError`: `bad_request` for a schema that is no JSON, `unsupported` for a grammar.
    """
    sampling = command.sampling
    body: dict[str, Any] = {
        "model": model.name,
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "seed": seed,
    }
    if command.prompt is not None:
        body["prompt"] = command.prompt
    else:
        body["messages"] = [{"role": each.role, "content": each.content} for each in command.messages]
    if sampling.max_tokens:
        body["max_tokens"] = sampling.max_tokens
    for name in ("presence_penalty", "frequency_penalty"):
        if value := getattr(sampling, name):
            body[name] = value
    if sampling.json_schema:
        body |= _schema(sampling, is_chat=command.prompt is None, is_llama_cpp=model.kind == "llama.cpp")
    if sampling.grammar:
        if model.kind != "llama.cpp":
            raise lacks(f"{model.kind} by this protocol", "follow a GBNF grammar")
        body["grammar"] = sampling.grammar
    if model.kind == "llama.cpp":
        body |= _for_llama_cpp(sampling)
    elif model.kind == "vLLM":
        body |= _for_vllm(sampling)
    elif model.kind == "LM Studio":
        body |= {"top_k": sampling.top_k, "repeat_penalty": sampling.repeat_penalty}
    return body


def not_taken(model: ServerModel) -> str:
    """What of the settings a server is not told, in a sentence; empty where that is nothing."""
    if model.takes_everything:
        return ""
    left_out = "min-p" if model.kind == "LM Studio" else "top-k, min-p, the repeat penalty"
    return f"{model.kind} is told everything but {left_out} and ignore-eos, which this protocol does not have."


def _for_llama_cpp(sampling: SamplingSettings) -> dict[str, Any]:
    return {
        "top_k": sampling.top_k,
        "min_p": sampling.min_p,
        "repeat_penalty": sampling.repeat_penalty,
        "repeat_last_n": sampling.repeat_last_tokens,
        "ignore_eos": sampling.ignore_eos,
        "cache_prompt": True,
        # Counts and times with each token: an answer that is stopped half-way has figures too.
        "timings_per_token": True,
        "return_progress": True,
        # Thoughts stay where the model put them, as in every other engine.
        "reasoning_format": "none",
    }


def _for_vllm(sampling: SamplingSettings) -> dict[str, Any]:
    return {
        "stream_options": {"include_usage": True, "continuous_usage_stats": True},
        "top_k": sampling.top_k or -1,
        "min_p": sampling.min_p,
        "repetition_penalty": sampling.repeat_penalty,
        "ignore_eos": sampling.ignore_eos,
    }


def _schema(sampling: SamplingSettings, *, is_chat: bool, is_llama_cpp: bool) -> dict[str, Any]:
    try:
        schema = msgspec.json.decode(sampling.json_schema)
    except msgspec.DecodeError as error:
        raise EdgetuiError("bad_request", f"The JSON schema is no JSON ({error}): mend it.") from error
    if not isinstance(schema, dict):
        raise EdgetuiError("bad_request", "A JSON schema is an object, such as {}: mend it.")
    if is_llama_cpp:
        return {"json_schema": schema}
    if not is_chat:
        raise EdgetuiError("unsupported", "This server takes a schema in a chat only, not for a raw prompt.")
    if not schema:
        return {"response_format": {"type": "json_object"}}
    return {
        "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}
    }
