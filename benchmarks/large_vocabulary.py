"""The demo model with a vocabulary of 151,936 tokens, for measures of speed: what it says means nothing.

The new tokens have ordinary words and rows of the embedding, which is the output matrix too, that are there already;
everything else is the model's own.
"""

from __future__ import annotations

import random
import struct
from pathlib import Path
from typing import NamedTuple

from edgetui.core.ggml import TENSOR_TYPES

TOKENS = 151_936
"""As in Qwen2.5 and Qwen3."""
_STRING, _ARRAY = 8, 9
_SCALARS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
"""Bytes of each type of value but texts and arrays."""
_EMBEDDING = b"token_embd.weight"


class _Entry(NamedTuple):
    name: bytes
    shape: tuple[int, ...]
    kind: int
    offset: int


def write_large_vocabulary(source: Path, path: Path) -> Path:
    """Write it to `path` and return that."""
    raw = source.read_bytes()
    tensors, keys = struct.unpack_from("<QQ", raw, 8)
    place, metadata = 24, bytearray()
    for _ in range(keys):
        end = _end_of_value(raw, place)
        metadata += _grown(raw[place:end])
        place = end
    entries = []
    for _ in range(tensors):
        entry, place = _entry(raw, place)
        entries.append(entry)
    data = -(-place // 32) * 32
    chunks, listed, offset = [], bytearray(), 0
    bounds = [*(entry.offset for entry in entries[1:]), len(raw) - data]
    for entry, end in zip(entries, bounds, strict=True):
        content = raw[data + entry.offset : data + end]
        shape = entry.shape
        if entry.name == _EMBEDDING:
            content, shape = _more_rows(entry, content), (shape[0], TOKENS)
        listed += struct.pack("<Q", len(entry.name)) + entry.name + struct.pack("<I", len(shape))
        listed += struct.pack(f"<{len(shape)}Q", *shape) + struct.pack("<IQ", entry.kind, offset)
        content += bytes(-len(content) % 32)
        chunks.append(content)
        offset += len(content)
    head = raw[:24] + metadata + listed
    path.write_bytes(b"".join([head, bytes(-len(head) % 32), *chunks]))
    return path


def _more_rows(entry: _Entry, content: bytes) -> bytes:
    kind = TENSOR_TYPES[entry.kind]
    row = entry.shape[0] // kind.block_elements * kind.block_bytes
    rows = [content[start : start + row] for start in range(0, entry.shape[1] * row, row)]
    choose = random.Random(0)
    return b"".join([*rows, *(choose.choice(rows) for _ in range(TOKENS - len(rows)))])


def _grown(item: bytes) -> bytes:
    """A key with its value, longer where that has an entry a token."""
    (length,) = struct.unpack_from("<Q", item)
    name, place = item[8 : 8 + length], 8 + length
    (kind,) = struct.unpack_from("<I", item, place)
    if name == b"llama.vocab_size":
        return item[: place + 4] + struct.pack("<I", TOKENS)
    if kind != _ARRAY or name not in (b"tokenizer.ggml.tokens", b"tokenizer.ggml.token_type", b"tokenizer.ggml.scores"):
        return item
    element, count = struct.unpack_from("<IQ", item, place + 4)
    more = range(count, TOKENS)
    if element == _STRING:
        words = (b"\xc4\xa0word%d" % number for number in more)
        added = b"".join(struct.pack("<Q", len(word)) + word for word in words)
    else:
        added = struct.pack("<i", 1) * len(more)
    return item[: place + 8] + struct.pack("<Q", TOKENS) + item[place + 16 :] + added


def _end_of_value(raw: bytes, place: int) -> int:
    (length,) = struct.unpack_from("<Q", raw, place)
    place += 8 + length
    (kind,) = struct.unpack_from("<I", raw, place)
    return _skip(raw, place + 4, kind)


def _skip(raw: bytes, place: int, kind: int) -> int:
    if kind == _STRING:
        return int(place + 8 + struct.unpack_from("<Q", raw, place)[0])
    if kind != _ARRAY:
        return place + _SCALARS[kind]
    element, count = struct.unpack_from("<IQ", raw, place)
    place += 12
    if element != _STRING:
        return int(place + count * _SCALARS[element])
    for _ in range(count):
        place = _skip(raw, place, _STRING)
    return place


def _entry(raw: bytes, place: int) -> tuple[_Entry, int]:
    (length,) = struct.unpack_from("<Q", raw, place)
    name, place = raw[place + 8 : place + 8 + length], place + 8 + length
    (dimensions,) = struct.unpack_from("<I", raw, place)
    shape = struct.unpack_from(f"<{dimensions}Q", raw, place + 4)
    place += 4 + 8 * dimensions
    kind, offset = struct.unpack_from("<IQ", raw, place)
    return _Entry(name, shape, kind, offset), place + 12
