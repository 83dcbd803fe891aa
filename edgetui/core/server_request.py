"""What decides a server's answer, in the words of the program that gets it: to ask it, and for commands that repeat it.

What concerns the way of asking alone (streaming, counts, times) is added by whoever asks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

import msgspec

from edgetui.core.failures import EdgetuiError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetui.core.run_settings import ChatMessage, SamplingSettings

ServerKind = Literal["llama.cpp", "vLLM", "Ollama", "LM Studio", "OpenAI-compatible"]
"""The programs that are told apart."""


def kind_of_program(version: str) -> ServerKind:
    """Of `llama.cpp b1234`, as a loaded server calls itself; what is unknown takes OpenAI's own words alone."""
    kinds: tuple[ServerKind, ...] = get_args(ServerKind)
    return next((kind for kind in kinds if version == kind or version.startswith(f"{kind} ")), "OpenAI-compatible")


def program_name(kind: ServerKind) -> str:
    """How a sentence begins that is about it."""
    return "This server" if kind == "OpenAI-compatible" else kind


def request_path(prompt: str | None) -> str:
    """Below the base of the interface; a raw prompt has an address of its own."""
    return "chat/completions" if prompt is None else "completions"


def request_body(
    kind: ServerKind,
    model: str,
    sampling: SamplingSettings,
    *,
    messages: Sequence[ChatMessage] = (),
    prompt: str | None = None,
) -> dict[str, Any]:
    """The body of a request; an empty `model` leaves the choice to the server, a prompt that is not None is raw.

    Only programs that are known to take them are told what OpenAI's protocol does not have; a cloud refuses words that
    it does not know. Stop sequences are not part of it. Raises `EdgetuiError`: `bad_request` for a schema that is no
    JSON, `unsupported` for a grammar, or for a schema of a raw prompt, where the server takes none.
    """
    body: dict[str, Any] = {"model": model} if model else {}
    body |= {"temperature": sampling.temperature, "top_p": sampling.top_p}
    if sampling.seed is not None:
        body["seed"] = sampling.seed
    if prompt is not None:
        body["prompt"] = prompt
    else:
        body["messages"] = [{"role": each.role, "content": each.content} for each in messages]
    for name in ("max_tokens", "presence_penalty", "frequency_penalty"):
        if value := getattr(sampling, name):
            body[name] = value
    if sampling.json_schema:
        body |= _schema(sampling.json_schema, is_chat=prompt is None, is_llama_cpp=kind == "llama.cpp")
    if sampling.grammar:
        if kind != "llama.cpp":
            raise EdgetuiError(
                "unsupported",
                f"{program_name(kind)} cannot follow a GBNF grammar by this protocol:"
                " take a GGUF build of the model, which llama.cpp runs.",
            )
        body["grammar"] = sampling.grammar
    return body | _beyond_the_protocol(kind, sampling)


def _beyond_the_protocol(kind: ServerKind, sampling: SamplingSettings) -> dict[str, Any]:
    if kind == "llama.cpp":
        return {
            "top_k": sampling.top_k,
            "min_p": sampling.min_p,
            "repeat_penalty": sampling.repeat_penalty,
            "repeat_last_n": sampling.repeat_last_tokens,
            "ignore_eos": sampling.ignore_eos,
            # Thoughts stay where the model put them, as in every other engine.
            "reasoning_format": "none",
        }
    if kind == "vLLM":
        return {
            "top_k": sampling.top_k or -1,
            "min_p": sampling.min_p,
            "repetition_penalty": sampling.repeat_penalty,
            "ignore_eos": sampling.ignore_eos,
        }
    if kind == "LM Studio":
        return {"top_k": sampling.top_k, "repeat_penalty": sampling.repeat_penalty}
    return {}


def _schema(text: str, *, is_chat: bool, is_llama_cpp: bool) -> dict[str, Any]:
    try:
        schema = msgspec.json.decode(text)
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
