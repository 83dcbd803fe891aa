"""The tensors of a model that is not here yet, from the published figures of its shape.

Names and shapes are llama.cpp's (the `load_arch_tensors` functions under src/models); benchmarks/family_error.py and
the tests hold them against the library, which loads files of exactly these tensors.
"""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from edgetui.core.fit import KvLayer, ModelShape, WeightsRead
from edgetui.core.ggml import TENSOR_TYPES, tensor_bytes
from edgetui.core.type_mix import mixed_types

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgetui.core.families import Member
    from edgetui.core.ggml import TensorType

_ALTUP = 4
"""Parallel copies of the hidden state in Gemma 3n (`altup_num_inputs`)."""
_LAUREL_RANK = 64
_QK_NORMS = frozenset({"qwen3", "qwen3moe", "gemma3", "gemma3n"})
_POST_NORMS = frozenset({"gemma3", "gemma3n"})
_KINDS = {kind.name: kind for kind in TENSOR_TYPES.values()}


class OutlineTensor(NamedTuple):
    """A tensor without its data; `shape[0]` is the row's length, as in a GGUF file."""

    name: str
    shape: tuple[int, ...]

    @property
    def elements(self) -> int:
        """How many."""
        return math.prod(self.shape)


def tensors_of(member: Member) -> tuple[OutlineTensor, ...]:
    """Every tensor of the language model, layer by layer."""
    return tuple(_tensors(member))


@cache
def shape_of(member: Member, type_name: str) -> ModelShape:
    """What decides memory and speed of a member in a file type, such as `Q4_K_M`.

    Raises `KeyError` for a type whose mixture is not known here.
    """
    tensors = tensors_of(member)
    types = mixed_types(member, tensors, type_name)
    sums: dict[str, list[int]] = {}
    for tensor, kind in zip(tensors, types, strict=True):
        weights, size = tensor.elements, tensor_bytes(kind, tensor.shape)
        if _is_looked_up(member, tensor):
            rows = tensor.elements // tensor.shape[0]
            weights, size = weights // rows, size // rows
        elif "_exps." in tensor.name:
            weights = weights * member.active_experts // member.experts
            size = size * member.active_experts // member.experts
        entry = sums.setdefault(kind.name, [0, 0])
        entry[0] += weights
        entry[1] += size
    return ModelShape(
        architecture=member.architecture,
        parameter_count=sum(tensor.elements for tensor in tensors),
        layers=tuple(_kv_layer(member, layer) for layer in range(member.layers)),
        embedding_length=member.embedding,
        vocabulary_size=member.vocabulary,
        trained_context_tokens=member.context,
        weights_bytes=sum(tensor_bytes(kind, tensor.shape) for tensor, kind in zip(tensors, types, strict=True)),
        read_per_token=tuple(
            WeightsRead(name, *entry) for name, entry in sorted(sums.items(), key=lambda item: -item[1][1])
        ),
    )


@cache
def multiplied_bytes(member: Member, type_name: str) -> dict[str, int]:
    """Bytes of the weights that are multiplied with, by tensor type: what a backend may keep rearranged."""
    tensors = tensors_of(member)
    sums: dict[str, int] = {}
    for tensor, kind in zip(tensors, mixed_types(member, tensors, type_name), strict=True):
        if len(tensor.shape) in (2, 3) and tensor.name.endswith(".weight") and not _is_looked_up(member, tensor):
            sums[kind.name] = sums.get(kind.name, 0) + tensor_bytes(kind, tensor.shape)
    return sums


def type_of(name: str) -> TensorType:
    """ggml's tensor type of a name; raises `KeyError`."""
    return _KINDS[name]


def _is_looked_up(member: Member, tensor: OutlineTensor) -> bool:
    """Whether a token reads one row of it only."""
    if tensor.name == "token_embd.weight":
        return not member.tied
    return tensor.name == "per_layer_token_embd.weight"


def _kv_layer(member: Member, layer: int) -> KvLayer:
    shared = layer >= member.layers - member.shared_kv_layers
    width = 0 if shared else member.kv_heads * member.head
    seen = member.window if (layer + 1) % member.full_every else 0
    return KvLayer(
        kind="shared" if shared else "window" if seen else "full",
        key_width=width,
        value_width=width,
        query_width=member.heads * member.head,
        head_width=member.head,
        queries_per_head=member.heads / member.kv_heads,
        window_tokens=seen,
    )


def _tensors(member: Member) -> Iterator[OutlineTensor]:
    width = member.embedding
    yield OutlineTensor("token_embd.weight", (width, member.vocabulary))
    if not member.tied:
        yield OutlineTensor("output.weight", (width, member.vocabulary))
    yield OutlineTensor("output_norm.weight", (width,))
    if member.architecture == "gemma3n":
        inner = member.per_layer_embedding * member.layers
        yield OutlineTensor("per_layer_token_embd.weight", (inner, member.vocabulary))
        yield OutlineTensor("per_layer_model_proj.weight", (width, inner))
        yield OutlineTensor("per_layer_proj_norm.weight", (member.per_layer_embedding,))
        yield OutlineTensor("altup_proj.weight", (width, width, _ALTUP - 1))
        yield OutlineTensor("altup_unembd_proj.weight", (width, width, _ALTUP - 1))
    for layer in range(member.layers):
        for name, shape in (*_attention(member), *_feed_forward(member), *_extras(member)):
            yield OutlineTensor(f"blk.{layer}.{name}", shape)


def _attention(member: Member) -> Iterator[tuple[str, tuple[int, ...]]]:
    width, queries, keys = member.embedding, member.heads * member.head, member.kv_heads * member.head
    yield "attn_norm.weight", (width,)
    if member.architecture == "phi3":
        yield "attn_qkv.weight", (width, queries + 2 * keys)
    else:
        for letter, outputs in (("q", queries), ("k", keys), ("v", keys)):
            yield f"attn_{letter}.weight", (width, outputs)
            if member.architecture == "qwen2":
                yield f"attn_{letter}.bias", (outputs,)
    yield "attn_output.weight", (queries, width)
    if member.architecture in _QK_NORMS:
        yield "attn_q_norm.weight", (member.head,)
        yield "attn_k_norm.weight", (member.head,)
    if member.architecture in _POST_NORMS:
        yield "post_attention_norm.weight", (width,)
        yield "post_ffw_norm.weight", (width,)


def _feed_forward(member: Member) -> Iterator[tuple[str, tuple[int, ...]]]:
    width, inner = member.embedding, member.feed_forward
    yield "ffn_norm.weight", (width,)
    if member.experts:
        inner = member.expert_feed_forward
        yield "ffn_gate_inp.weight", (width, member.experts)
        yield "ffn_gate_exps.weight", (width, inner, member.experts)
        yield "ffn_up_exps.weight", (width, inner, member.experts)
        yield "ffn_down_exps.weight", (inner, width, member.experts)
    elif member.architecture == "phi3":
        # Gate and up in one.
        yield "ffn_up.weight", (width, 2 * inner)
        yield "ffn_down.weight", (inner, width)
    else:
        yield "ffn_gate.weight", (width, inner)
        yield "ffn_up.weight", (width, inner)
        yield "ffn_down.weight", (inner, width)


def _extras(member: Member) -> Iterator[tuple[str, tuple[int, ...]]]:
    if member.architecture != "gemma3n":
        return
    width, inner = member.embedding, member.per_layer_embedding
    yield "inp_gate.weight", (width, inner)
    yield "proj.weight", (inner, width)
    yield "post_norm.weight", (width,)
    yield "altup_correct_coef.weight", (_ALTUP, _ALTUP)
    yield "altup_correct_scale.weight", (width,)
    yield "altup_predict_coef.weight", (_ALTUP, _ALTUP * _ALTUP)
    yield "altup_router.weight", (width, _ALTUP)
    yield "altup_router_norm.weight", (width,)
    yield "laurel_l.weight", (width, _LAUREL_RANK)
    yield "laurel_r.weight", (_LAUREL_RANK, width)
    yield "laurel_post_norm.weight", (width,)
