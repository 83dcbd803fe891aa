"""Writes small GGUF files for tests: sound ones in every version and byte order, and any way of being wrong."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from edgetui.core.ggml import TENSOR_TYPES

U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64 = range(13)
_CODES = {
    U8: "B", I8: "b", U16: "H", I16: "h", U32: "I", I32: "i", F32: "f", BOOL: "?", U64: "Q", I64: "q", F64: "d",
}  # fmt: skip


class Key(NamedTuple):
    """A metadata entry; for an array `value` is `(element type, elements)`."""

    name: str
    kind: int
    value: Any


class Tensor(NamedTuple):
    """A tensor entry; what is None is worked out as a sound file has it."""

    name: str
    shape: Sequence[int]
    type_number: int = 0
    offset: int | None = None


SOUND_KEYS = (
    Key("general.architecture", STRING, "llama"),
    Key("general.name", STRING, "Tiny"),
    Key("general.file_type", U32, 0),
    Key("llama.block_count", U32, 1),
    Key("llama.context_length", U32, 128),
    Key("llama.embedding_length", U32, 8),
    Key("llama.attention.head_count", U32, 2),
    Key("tokenizer.ggml.model", STRING, "gpt2"),
    Key("tokenizer.ggml.tokens", ARRAY, (STRING, ["a", "b", "é", "d"])),
    Key("tokenizer.ggml.token_type", ARRAY, (I32, [1, 1, 1, 3])),
    Key("tokenizer.ggml.scores", ARRAY, (F32, [0.0, 0.5, 1.0, 2.0])),
    Key("tokenizer.ggml.eos_token_id", U32, 3),
)
SOUND_TENSORS = (
    Tensor("token_embd.weight", (8, 4)),
    Tensor("blk.0.attn_q.weight", (32, 2), 2),
    Tensor("output_norm.weight", (8,)),
)


def with_keys(*changed: Key, without: Sequence[str] = ()) -> tuple[Key, ...]:
    """The sound keys with some changed, added or left out."""
    names = {key.name for key in changed}
    kept = [key for key in SOUND_KEYS if key.name not in names and key.name not in without]
    return (*kept, *changed)


def write_gguf(
    path: Path,
    keys: Sequence[Key] = SOUND_KEYS,
    tensors: Sequence[Tensor] = SOUND_TENSORS,
    *,
    version: int = 3,
    order: str = "<",
    alignment: int = 32,
    tensor_count: int | None = None,
    key_count: int | None = None,
    cut: int = 0,
) -> Path:
    """Write a file; `tensor_count` and `key_count` may lie, `cut` leaves out that many bytes at the end."""
    path.write_bytes(gguf_bytes(keys, tensors, version, order, alignment, tensor_count, key_count, cut))
    return path


def gguf_bytes(
    keys: Sequence[Key] = SOUND_KEYS,
    tensors: Sequence[Tensor] = SOUND_TENSORS,
    version: int = 3,
    order: str = "<",
    alignment: int = 32,
    tensor_count: int | None = None,
    key_count: int | None = None,
    cut: int = 0,
) -> bytes:
    """The bytes of a file, as `write_gguf` writes it."""
    out = bytearray(b"GGUF" + struct.pack(order + "I", version))
    out += struct.pack(order + "QQ", len(tensors) if tensor_count is None else tensor_count, key_count or len(keys))
    for key in keys:
        out += _string(key.name, order) + struct.pack(order + "I", key.kind) + _value(key.kind, key.value, order)
    offset = 0
    for tensor in tensors:
        out += _string(tensor.name, order) + struct.pack(order + "I", len(tensor.shape))
        out += struct.pack(f"{order}{len(tensor.shape)}Q", *tensor.shape)
        out += struct.pack(order + "IQ", tensor.type_number, offset if tensor.offset is None else tensor.offset)
        offset += -(-_size(tensor) // alignment) * alignment
    out += bytes(-len(out) % alignment) + bytes(offset)
    return bytes(out[: len(out) - cut])


def _size(tensor: Tensor) -> int:
    kind = TENSOR_TYPES.get(tensor.type_number, TENSOR_TYPES[0])
    elements = 1
    for extent in tensor.shape:
        elements *= extent
    # Absurd shapes are written, but nothing that large is appended for them.
    return min(elements // kind.block_elements * kind.block_bytes, 1 << 16)


def _string(text: str, order: str) -> bytes:
    raw = text.encode()
    return struct.pack(order + "Q", len(raw)) + raw


def _value(kind: int, value: Any, order: str) -> bytes:
    if kind == STRING:
        return _string(value, order)
    if kind == ARRAY:
        element, values = value
        return struct.pack(order + "IQ", element, len(values)) + b"".join(_value(element, v, order) for v in values)
    return struct.pack(order + _CODES[kind], value) if kind in _CODES else bytes(value)
