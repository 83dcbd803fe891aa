"""The header of one GGUF variant made of another's: of the same model they share everything but the list of tensors.

Vocabulary and merges make a header of many MiB; the list of tensors takes some KiB. So the first variant's header is
read whole, and of each further one only the stretch in which its list must lie.
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, NamedTuple

from edgetui.formats.gguf import read_gguf

if TYPE_CHECKING:
    from pathlib import Path

_SLACK_BYTES = 64 * 1024
"""How much longer or shorter one variant's metadata may be than the other's."""
_LONGEST_NAME, _MOST_DIMENSIONS = 128, 4


class Stretch(NamedTuple):
    """Bytes of a file, from `begin` up to `end`."""

    begin: int
    end: int


def stretch_of_tensors(like: Path) -> Stretch:
    """Where another variant's list of tensors is to be found; raises `EdgetuiError` as `read_gguf` does."""
    header = read_gguf(like)
    return Stretch(max(0, header.tensors_offset - _SLACK_BYTES), header.data_offset + _SLACK_BYTES)


def splice(like: Path, stretch: Stretch, data: bytes, size_bytes: int, target: Path) -> bool:
    """Make `target` of `like`'s metadata and the tensors listed in `data`, with a hole for the weights.

    `size_bytes` is the length of the file that `data` comes from. False where the two are not of the same model after
    all, or `data` holds no such list: then nothing is made.
    """
    header = read_gguf(like)
    if header.byte_order != "little" or not header.tensors:
        return False
    first = header.tensors[0].name.encode()
    begin = data.find(struct.pack("<Q", len(first)) + first)
    if begin < 0:
        return False
    end, names = _end_of_list(data, begin, len(header.tensors))
    if names != {tensor.name for tensor in header.tensors}:
        return False
    data_bytes = size_bytes - _aligned(stretch.begin + end, header.alignment)
    if data_bytes < 0:
        return False
    with like.open("rb") as stream:
        start = stream.read(header.tensors_offset)
    made = start + data[begin:end]
    made += bytes(_aligned(len(made), header.alignment) - len(made))
    partial = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        partial.write_bytes(made)
        os.truncate(partial, len(made) + data_bytes)
        read = read_gguf(partial)
        ends = max(tensor.offset + tensor.size_bytes for tensor in read.tensors)
        # A list of the true file ends where the file ends; llama.cpp pads the last tensor too.
        if not 0 <= data_bytes - ends < header.alignment:
            return False
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return True


def _aligned(offset: int, alignment: int) -> int:
    return -(-offset // alignment) * alignment


def _end_of_list(data: bytes, at: int, count: int) -> tuple[int, set[str]]:
    """Where a list of so many tensors ends, and their names; fewer names where it is no such list."""
    names: set[str] = set()
    try:
        for _ in range(count):
            (length,) = struct.unpack_from("<Q", data, at)
            if not 0 < length <= _LONGEST_NAME:
                break
            name = data[at + 8 : at + 8 + length]
            (dimensions,) = struct.unpack_from("<I", data, at + 8 + length)
            if not 0 < dimensions <= _MOST_DIMENSIONS:
                break
            at += 8 + length + 4 + 8 * dimensions + 12
            if at > len(data):
                break
            names.add(name.decode("utf-8", "replace"))
    except struct.error:
        pass
    return at, names
