"""A mixture of experts made of the real model: one layer whose experts are the feed-forward parts of several."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import NamedTuple

from edgetui.core.ggml import TENSOR_TYPES, tensor_bytes
from edgetui.formats.gguf import read_gguf
from tests.gguf_files import U32, Key, gguf_bytes

EXPERTS, USED = 4, 2
_NUMBERS = {kind.name: number for number, kind in TENSOR_TYPES.items()}
_KEPT = (
    "token_embd.weight", "output_norm.weight", "blk.0.attn_norm.weight", "blk.0.attn_q.weight", "blk.0.attn_k.weight",
    "blk.0.attn_v.weight", "blk.0.attn_output.weight", "blk.0.ffn_norm.weight",
)  # fmt: skip


class _Tensor(NamedTuple):
    name: str
    shape: tuple[int, ...]
    type_name: str
    data: bytes


def write_mixture(source: Path, path: Path) -> Path:
    """Write it with the source's tokenizer; returns `path`. The router spreads tokens over all experts."""
    header = read_gguf(source)
    raw = source.read_bytes()
    tensors = {tensor.name: tensor for tensor in header.tensors}

    def data(name: str) -> bytes:
        begin = header.data_offset + tensors[name].offset
        return raw[begin : begin + tensors[name].size_bytes]

    written = [_Tensor(name, tensors[name].shape, tensors[name].type.name, data(name)) for name in _KEPT]
    for part in ("ffn_gate", "ffn_up", "ffn_down"):
        one = tensors[f"blk.0.{part}.weight"]
        experts = b"".join(data(f"blk.{layer}.{part}.weight") for layer in range(EXPERTS))
        written.append(_Tensor(f"blk.0.{part}_exps.weight", (*one.shape, EXPERTS), one.type.name, experts))
    width = tensors["blk.0.ffn_gate.weight"].shape[0]
    numbers = [at * 2654435761 % 997 / 997 - 0.5 for at in range(width * EXPERTS)]
    router = struct.pack(f"<{len(numbers)}f", *numbers)
    written.append(_Tensor("blk.0.ffn_gate_inp.weight", (width, EXPERTS), "F32", router))
    return _write(path, raw[24 : header.tensors_offset], len(header.metadata), written)


def _write(path: Path, keys: bytes, key_count: int, tensors: list[_Tensor]) -> Path:
    layers = b"llama.block_count" + struct.pack("<I", U32)
    at = keys.index(layers) + len(layers)
    keys = keys[:at] + struct.pack("<I", 1) + keys[at + 4 :]
    added = gguf_bytes((Key("llama.expert_count", U32, EXPERTS), Key("llama.expert_used_count", U32, USED)), ())
    # Of a file without tensors the keys are all that stands between its counts and the padding.
    entry_bytes = sum(8 + len(name) + 8 for name in ("llama.expert_count", "llama.expert_used_count"))
    keys += added[24 : 24 + entry_bytes]
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), key_count + 2) + keys
    offset = 0
    for tensor in tensors:
        head += struct.pack("<Q", len(tensor.name)) + tensor.name.encode() + struct.pack("<I", len(tensor.shape))
        head += struct.pack(f"<{len(tensor.shape)}Q", *tensor.shape)
        head += struct.pack("<IQ", _NUMBERS[tensor.type_name], offset)
        assert len(tensor.data) == tensor_bytes(TENSOR_TYPES[_NUMBERS[tensor.type_name]], tensor.shape)
        offset += -(-len(tensor.data) // 32) * 32
    with path.open("wb") as stream:
        stream.write(head + bytes(-len(head) % 32))
        for tensor in tensors:
            stream.write(tensor.data + bytes(-len(tensor.data) % 32))
    return path
