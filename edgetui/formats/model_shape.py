"""A model's shape from its GGUF header: what a decoded token reads, and what each layer remembers."""

from __future__ import annotations

import math
import re

import msgspec

from edgetui.core.failures import EdgetuiError
from edgetui.core.fit import KvLayer, ModelShape, WeightsRead
from edgetui.formats.gguf_header import GgufHeader, GgufTensor

_LAYER = re.compile(r"blk\.(\d+)\.(.+)")
_EMBEDDING = "token_embd.weight"
_LATENT = "attn_kv_a_mqa.weight"
_FULL_EVERY = {"gemma2": 2, "gemma3": 6, "gemma3n": 5, "cohere2": 4, "gpt-oss": 2}
"""Every so many layers one sees all."""


def model_shape(header: GgufHeader) -> ModelShape:
    """The shape; raises `EdgetuiError("unsupported")` for a header that does not tell it.

    Widths of keys and values are those of the tensors that make them. Which layers see a window only, llama.cpp's code
    knows for each architecture (`load_swa_pattern`); in one that is not listed here they count as seeing everything.
    """
    layers: dict[int, dict[str, GgufTensor]] = {}
    for tensor in header.tensors:
        if found := _LAYER.fullmatch(tensor.name):
            layers.setdefault(int(found[1]), {})[found[2]] = tensor
    embedding, count = header.of_architecture("embedding_length"), header.of_architecture("block_count")
    if not layers or not embedding or not count or header.architecture is None:
        raise EdgetuiError("unsupported", f"The header of {header.path.name} does not tell the model's layers.")
    return ModelShape(
        architecture=header.architecture,
        parameter_count=header.parameter_count,
        layers=tuple(_layer(header, number, tensors) for number, tensors in sorted(layers.items())),
        embedding_length=embedding,
        vocabulary_size=header.vocabulary_size or 0,
        trained_context_tokens=header.context_length or 0,
        weights_bytes=sum(tensor.size_bytes for tensor in header.tensors),
        read_per_token=_read_per_token(header),
    )


def _layer(header: GgufHeader, number: int, tensors: dict[str, GgufTensor]) -> KvLayer:
    shared, count = header.of_architecture("attention.shared_kv_layers"), header.of_architecture("block_count")
    layer = _with_queries(header, _own_cache(header, tensors), tensors.get("attn_q.weight"))
    window = header.of_architecture("attention.sliding_window")
    every = _FULL_EVERY.get(header.architecture or "", 1)
    seen = window if window and (number + 1) % every else 0
    if shared and count and number >= count - shared:
        return msgspec.structs.replace(layer, kind="shared", key_width=0, value_width=0, window_tokens=seen)
    if layer.kind == "full" and seen:
        return msgspec.structs.replace(layer, kind="window", window_tokens=seen)
    return layer


def _with_queries(header: GgufHeader, layer: KvLayer, query: GgufTensor | None) -> KvLayer:
    """The layer with what its queries multiply."""
    width = layer.query_width or (query.shape[1] if query is not None else 0)
    heads = header.of_architecture("attention.head_count")
    head = layer.key_width if layer.kind == "latent" else header.of_architecture("attention.key_length")
    if not head and heads:
        head = (header.of_architecture("embedding_length") or 0) // heads
    cached = layer.key_width or (header.of_architecture("attention.head_count_kv") or 0) * (head or 0)
    return msgspec.structs.replace(
        layer, query_width=width, head_width=head or 0, queries_per_head=max(1.0, width / cached) if cached else 1.0
    )


def _own_cache(header: GgufHeader, tensors: dict[str, GgufTensor]) -> KvLayer:
    if any(name.startswith(("ssm_", "time_mix_", "shortconv")) for name in tensors):
        raise EdgetuiError(
            "unsupported", f"The recurrent layers of {header.path.name} are of a kind that no figure is known for."
        )
    if _LATENT in tensors:
        width, count = tensors[_LATENT].shape[1], header.of_architecture("attention.head_count") or 0
        # Every head's query is brought to the latent width.
        return KvLayer(kind="latent", key_width=width, query_width=width * count)
    key, value = tensors.get("attn_k.weight"), tensors.get("attn_v.weight")
    if key is not None:
        # Where there is no V of its own it is K.
        return KvLayer(kind="full", key_width=key.shape[1], value_width=(value or key).shape[1])
    fused = tensors.get("attn_qkv.weight")
    heads, of_cache = header.of_architecture("attention.head_count"), header.of_architecture("attention.head_count_kv")
    if fused is not None and heads:
        of_cache = of_cache or heads
        width = fused.shape[1] // (heads + 2 * of_cache) * of_cache
        return KvLayer(kind="full", key_width=width, value_width=width, query_width=fused.shape[1] - 2 * width)
    # Layers without attention, and those that read another layer's cache.
    return KvLayer(kind="shared")


def _read_per_token(header: GgufHeader) -> tuple[WeightsRead, ...]:
    has_output = any(tensor.name == "output.weight" for tensor in header.tensors)
    experts, active = header.of_architecture("expert_count"), header.of_architecture("expert_used_count")
    sums: dict[str, list[int]] = {}
    for tensor in header.tensors:
        weights, size = math.prod(tensor.shape), tensor.size_bytes
        if tensor.name.startswith(("token_embd.", "per_layer_token_embd.")) and (
            has_output or tensor.name != _EMBEDDING
        ):
            # One row of it is looked up.
            rows = max(1, weights // tensor.shape[0])
            weights, size = weights // rows, size // rows
        elif "_exps." in tensor.name and experts and active:
            weights, size = weights * active // experts, size * active // experts
        entry = sums.setdefault(tensor.type.name, [0, 0])
        entry[0] += weights
        entry[1] += size
    return tuple(WeightsRead(name, *entry) for name, entry in sorted(sums.items(), key=lambda item: -item[1][1]))
