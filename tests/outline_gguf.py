"""Writes GGUF files of family members without their weights: a true header, and a hole where the data would be."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, Any

from edgetui.core.ggml import FILE_TYPES, TENSOR_TYPES, tensor_bytes
from edgetui.core.outline import tensors_of
from edgetui.core.type_mix import mixed_types
from tests.gguf_files import ARRAY, BOOL, F32, STRING, U32, Key, gguf_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from edgetui.core.families import Member

_NUMBERS = {kind: number for number, kind in TENSOR_TYPES.items()}
_FILE_TYPES = {name: number for number, name in FILE_TYPES.items()}
_ALIGNMENT = 32


def write_outline(path: Path, member: Member, type_name: str) -> Path:
    """A file that llama.cpp takes for the member in this type, as long as it computes nothing with it.

    The hole takes no room on a filesystem that has sparse files.
    """
    tensors = tensors_of(member)
    kinds = mixed_types(member, tensors, type_name)
    keys = _keys(member, type_name)
    header = bytearray(gguf_bytes(keys, ()))
    # `gguf_bytes` pads what it writes; the tensors' entries stand before the padding.
    header = header[: _end_of_keys(keys)]
    header[8:16] = struct.pack("<Q", len(tensors))
    offset = 0
    for tensor, kind in zip(tensors, kinds, strict=True):
        name = tensor.name.encode()
        header += struct.pack("<Q", len(name)) + name + struct.pack("<I", len(tensor.shape))
        header += struct.pack(f"<{len(tensor.shape)}Q", *tensor.shape) + struct.pack("<IQ", _NUMBERS[kind], offset)
        offset += -(-tensor_bytes(kind, tensor.shape) // _ALIGNMENT) * _ALIGNMENT
    header += bytes(-len(header) % _ALIGNMENT)
    path.write_bytes(header)
    os.truncate(path, len(header) + offset)
    return path


def _end_of_keys(keys: tuple[Key, ...]) -> int:
    return len(gguf_bytes(keys, (), alignment=1))


def _keys(member: Member, type_name: str) -> tuple[Key, ...]:
    own: dict[str, tuple[int, Any]] = {
        "block_count": (U32, member.layers),
        "context_length": (U32, member.context),
        "embedding_length": (U32, member.embedding),
        "feed_forward_length": (U32, member.feed_forward),
        "attention.head_count": (U32, member.heads),
        "attention.head_count_kv": (U32, member.kv_heads),
        "attention.key_length": (U32, member.head),
        "attention.value_length": (U32, member.head),
        "attention.layer_norm_rms_epsilon": (F32, 1e-6),
        "rope.dimension_count": (U32, member.head),
        "rope.freq_base": (F32, 1e6),
        "vocab_size": (U32, member.vocabulary),
    }
    if member.window:
        own["attention.sliding_window"] = (U32, member.window)
    if member.experts:
        own["expert_count"] = (U32, member.experts)
        own["expert_used_count"] = (U32, member.active_experts)
        own["expert_feed_forward_length"] = (U32, member.expert_feed_forward)
    if member.architecture == "gemma3n":
        own["altup.num_inputs"] = (U32, 4)
        own["altup.active_idx"] = (U32, 0)
        own["laurel_rank"] = (U32, 64)
        own["embedding_length_per_layer_input"] = (U32, member.per_layer_embedding)
        own["attention.shared_kv_layers"] = (U32, member.shared_kv_layers)
        own["activation_sparsity_scale"] = (ARRAY, (F32, [1.0] * member.layers))
        own["attention.sliding_window_pattern"] = (
            ARRAY,
            (BOOL, [bool((layer + 1) % member.full_every) for layer in range(member.layers)]),
        )
    return (
        Key("general.architecture", STRING, member.architecture),
        Key("general.name", STRING, member.name),
        Key("general.file_type", U32, _FILE_TYPES[type_name]),
        *(Key(f"{member.architecture}.{name}", kind, value) for name, (kind, value) in own.items()),
        Key("tokenizer.ggml.model", STRING, "no_vocab"),
    )
