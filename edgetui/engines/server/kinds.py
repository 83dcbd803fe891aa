"""Which program a server is, what it tells of its model, and what it takes beyond OpenAI's protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from edgetui.core.failures import EdgetuiError
from edgetui.core.plain_text import plain_line
from edgetui.core.server_request import ServerKind

if TYPE_CHECKING:
    from edgetui.engines.server.link import Link

_OWNERS: dict[str, ServerKind] = {
    "llamacpp": "llama.cpp",
    "vllm": "vLLM",
    "library": "Ollama",
    "organization_owner": "LM Studio",
}
"""By what each writes into `owned_by` of its models."""


class ServerModel(msgspec.Struct, frozen=True, kw_only=True):
    """The chosen model as its server tells it; 0 and empty where it does not."""

    kind: ServerKind
    name: str
    models: tuple[str, ...]
    """All that the server lists."""
    version: str = ""
    context_tokens: int = 0
    """Of one conversation."""
    trained_context_tokens: int = 0
    parameter_count: int = 0
    weights_bytes: int = 0
    description: str = ""
    has_chat_template: bool = True
    can_embed: bool = False

    @property
    def takes_everything(self) -> bool:
        """Whether it samples with top-k and min-p, and goes on past the end mark."""
        return self.kind in ("llama.cpp", "vLLM")

    @property
    def counts_on(self) -> bool:
        """Whether it tells with each piece how many tokens there are so far."""
        return self.kind in ("llama.cpp", "vLLM")


async def list_models(link: Link) -> tuple[dict[str, Any], ...]:
    """What the server lists, each with its `id`; raises `EdgetuiError`."""
    answer = await link.get("models")
    listed = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(listed, list):
        raise link.sentences.failure(
            "network", "does not list its models as an OpenAI-compatible server does: check the address."
        )
    return tuple(each for each in listed if isinstance(each, dict) and isinstance(each.get("id"), str))


async def describe(link: Link, wanted: str) -> ServerModel:
    """Choose the model, the first for an empty name, and ask the server about it; raises `EdgetuiError`."""
    listed = await list_models(link)
    names = tuple(str(each["id"]) for each in listed)
    if not names:
        raise link.sentences.failure("not_found", "has no model: load or pull one there first.")
    # Ollama's own names may leave out the tag that its list has.
    name = next((each for each in (wanted or names[0], f"{wanted}:latest") if each in names), None)
    if name is None:
        raise link.sentences.no_model(wanted, names)
    facts = next(each for each in listed if each["id"] == name)
    kind = _OWNERS.get(str(facts.get("owned_by", "")), "OpenAI-compatible")
    told = ServerModel(
        kind=kind,
        name=name,
        models=names,
        # vLLM's word for it, which several clouds have taken over, and OpenRouter's.
        context_tokens=_count(facts.get("max_model_len")) or _count(facts.get("context_length")),
        description=plain_line(name),
    )
    try:
        if kind == "llama.cpp":
            return await _ask_llama_cpp(link, told, facts.get("meta"))
        if kind == "Ollama":
            return await _ask_ollama(link, told)
        if kind == "LM Studio":
            return await _ask_lm_studio(link, told)
        if kind == "vLLM":
            version = await link.get("version", native=True)
            return msgspec.structs.replace(told, version=_text(version, "version"))
    except EdgetuiError:
        # Its own addresses may be closed to us; the protocol's are what counts.
        return told
    return told


async def _ask_llama_cpp(link: Link, told: ServerModel, meta: Any) -> ServerModel:
    meta = _dict(meta)
    told = msgspec.structs.replace(
        told,
        trained_context_tokens=_count(meta.get("n_ctx_train")),
        parameter_count=_count(meta.get("n_params")),
        weights_bytes=_count(meta.get("size")),
        context_tokens=_count(meta.get("n_ctx")) or told.context_tokens,
    )
    props = _dict(await link.get("props", native=True))
    settings = props.get("default_generation_settings")
    if not isinstance(settings, dict):
        return told
    told = msgspec.structs.replace(
        told,
        context_tokens=_count(settings.get("n_ctx")) or told.context_tokens,
        version=_text(props, "build_info"),
        has_chat_template=bool(props.get("chat_template")),
    )
    try:
        # At once either way: a server that was not started for it refuses before it computes anything.
        await link.post("embeddings", {"model": told.name, "input": "a"})
    except EdgetuiError:
        return told
    return msgspec.structs.replace(told, can_embed=True)


async def _ask_ollama(link: Link, told: ServerModel) -> ServerModel:
    shown = _dict(await link.post("api/show", {"model": told.name}, native=True))
    info, can = _dict(shown.get("model_info")), shown.get("capabilities")
    trained = next((_count(value) for key, value in info.items() if str(key).endswith(".context_length")), 0)
    told = msgspec.structs.replace(
        told,
        trained_context_tokens=trained,
        parameter_count=_count(info.get("general.parameter_count")),
        has_chat_template=bool(shown.get("template")),
        can_embed=isinstance(can, list) and "embedding" in can,
        version=_text(await link.get("api/version", native=True), "version"),
    )
    running = _dict(await link.get("api/ps", native=True)).get("models")
    for each in running if isinstance(running, list) else ():
        if _dict(each).get("name") == told.name:
            return msgspec.structs.replace(
                told, context_tokens=_count(each.get("context_length")), weights_bytes=_count(each.get("size"))
            )
    return told


async def _ask_lm_studio(link: Link, told: ServerModel) -> ServerModel:
    facts = _dict(await link.get(f"api/v0/models/{told.name}", native=True))
    return msgspec.structs.replace(
        told,
        context_tokens=_count(facts.get("loaded_context_length")),
        trained_context_tokens=_count(facts.get("max_context_length")),
        can_embed=facts.get("type") == "embeddings",
        description=" ".join(part for part in (told.description, _text(facts, "quantization")) if part),
    )


def _dict(value: Any) -> dict[str, Any]:
    """What has another shape than is known tells nothing."""
    return value if isinstance(value, dict) else {}


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**53 else 0


def _text(facts: Any, key: str) -> str:
    value = _dict(facts).get(key)
    return plain_line(value)[:100] if isinstance(value, str) else ""
