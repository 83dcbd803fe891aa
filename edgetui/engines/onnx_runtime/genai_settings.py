"""What of the load settings onnxruntime-genai has, and what is said of the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from edgetui.core.failures import EdgetuiError
from edgetui.core.run_settings import LoadSettings
from edgetui.engines import host
from edgetui.engines.base import lacks
from edgetui.engines.onnx_runtime.beside import configuration
from edgetui.engines.onnx_runtime.session import PROVIDERS, configured_provider
from edgetui.formats.model_folder import GENAI_CONFIG

if TYPE_CHECKING:
    from pathlib import Path

    from edgetui.formats.onnx import OnnxModel

DEFAULT_CONTEXT_TOKENS = 8192
_CACHE_TYPES = {"float32": ("f32", 4), "float16": ("f16", 2), "bfloat16": ("bf16", 2)}
"""Element type of the graph's past in llama.cpp's spelling, and bytes an element."""
_DEFAULTS = LoadSettings()
_WITHOUT_EFFECT = {
    "flash_attention": "attention is computed as the graph has it",
    "numa": "threads lie as the system puts them",
    "use_mlock": "weights are not locked into memory",
    "threads_prefill": "a prompt is computed with as many threads as an answer",
    "physical_batch_tokens": "a batch is computed as a whole",
    "draft_model": "no tokens are proposed",
    "prompt_lookup": "no tokens are proposed",
    "prompt_cache": "the KV cache is not kept on disk",
}
"""Settings that change no answer, with what holds instead."""


class Cache(NamedTuple):
    """The KV cache that a graph asks for."""

    type_name: str
    """As llama.cpp spells it; empty for a graph without one."""
    bytes_per_token: int


class Chosen(NamedTuple):
    """What a load is done with."""

    context_tokens: int
    trained_context_tokens: int
    threads: int
    cache: Cache
    on_cpu_alone: bool
    """Whether the providers that the configuration names are left out."""
    remarks: tuple[str, ...]

    @property
    def overlay(self) -> str:
        """JSON to lay over `genai_config.json`."""
        session = {"intra_op_num_threads": self.threads}
        return msgspec.json.encode({"model": {"decoder": {"session_options": session}}}).decode()


def choose(path: Path, model: OnnxModel, settings: LoadSettings) -> Chosen:
    """Settings of a load of the decoder whose graph is `path`.

    Raises `EdgetuiError`: `unsupported` for settings that would change answers and cannot be had, `bad_request` for a
    context beyond the trained one.
    """
    for wanted, what in (
        (settings.adapters, "lay LoRA adapters over a graph"),
        (settings.rope_scaling != _DEFAULTS.rope_scaling, "change the RoPE scaling that is built into a graph"),
        (
            settings.rope_freq_base or settings.rope_freq_scale,
            "change the RoPE frequencies that are built into a graph",
        ),
    ):
        if wanted:
            raise lacks("onnxruntime-genai", what)
    config = configuration(path, GENAI_CONFIG).get("model", {})
    trained = config.get("context_length")
    trained = trained if isinstance(trained, int) and trained > 0 else 0
    context_tokens = settings.context_tokens or min(trained or DEFAULT_CONTEXT_TOKENS, DEFAULT_CONTEXT_TOKENS)
    if trained and context_tokens > trained:
        raise EdgetuiError(
            "bad_request",
            f"{path.parent.name} takes at most {trained} tokens of context, which its graph was built for: ask for"
            " fewer.",
        )
    cache = cache_of(model, config)
    on_cpu_alone, remarks = _provider(path, settings)
    return Chosen(
        context_tokens=context_tokens,
        trained_context_tokens=trained,
        threads=settings.threads or host.default_threads(),
        cache=cache,
        on_cpu_alone=on_cpu_alone,
        remarks=(*remarks, *_remarks(settings, cache)),
    )


def cache_of(model: OnnxModel, config: dict[str, object]) -> Cache:
    """Type and size of the KV cache, by the graph's past and the configuration beside it."""
    past = [value for value in model.inputs if value.name.startswith("past")]
    if not past:
        return Cache("", 0)
    name, size = _CACHE_TYPES.get(past[0].type_name, (past[0].type_name, 0))
    decoder = config.get("decoder")
    decoder = decoder if isinstance(decoder, dict) else {}
    width = 0
    for value in past:
        # (batch, heads, tokens, width of a head)
        heads, last = (value.shape[1], value.shape[3]) if len(value.shape) == 4 else (0, 0)
        heads = heads if isinstance(heads, int) else decoder.get("num_key_value_heads") or 0
        last = last if isinstance(last, int) else decoder.get("head_size") or 0
        width += heads * last
    return Cache(name, width * size)


def _provider(path: Path, settings: LoadSettings) -> tuple[bool, tuple[str, ...]]:
    import onnxruntime

    wanted = configured_provider(path)
    if wanted == "cpu":
        return False, ()
    if settings.gpu_layers == 0:
        return True, (f"The model is built for {wanted}, and the CPU computes it since GPU layers are 0.",)
    if PROVIDERS[wanted] not in onnxruntime.get_available_providers():
        return True, (
            f"The model is built for {wanted}, which the installed ONNX Runtime does not have: the CPU computes it.",
        )
    return False, ()


def _remarks(settings: LoadSettings, cache: Cache) -> tuple[str, ...]:
    remarks = [
        f"onnxruntime-genai has no {name.replace('_', ' ')}: {instead}."
        for name, instead in _WITHOUT_EFFECT.items()
        if getattr(settings, name) != getattr(_DEFAULTS, name)
    ]
    asked = {settings.kv_cache_type, settings.kv_cache_type_v or settings.kv_cache_type} - {_DEFAULTS.kv_cache_type}
    if asked - {cache.type_name}:
        remarks.append(f"The KV cache is {cache.type_name or 'none'}, as the graph was built.")
    return tuple(remarks)
