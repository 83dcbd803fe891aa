"""Importance matrices as llama.cpp keeps them: a reader of the GGUF form and of the older one, and a writer of GGUF.

An entry belongs to one weight matrix and holds, for each column of the matrix's input, the sum of the squares of what
went in (tools/imatrix/imatrix.cpp), for each expert apart.
"""

from __future__ import annotations

import math
import os
import struct
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from edgetui.core.failures import EdgetuiError
from edgetui.formats.gguf import MAGIC, read_gguf_file
from edgetui.formats.gguf_header import GgufArray
from edgetui.formats.regular_file import open_regular

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from edgetui.formats.gguf_header import GgufHeader, GgufTensor

SUMS, COUNTS = ".in_sum2", ".counts"
MOST_ENTRIES = 1 << 20
MOST_NAME_BYTES = 63
"""ggml's own limit of a tensor's name."""
_ALIGNMENT = 32
_U32, _STRING, _ARRAY, _F32_TENSOR = 4, 8, 9, 0


@dataclass(frozen=True)
class ImatrixEntry:
    """Of one weight matrix."""

    sums: array[float]
    """Sums of squares in float32, `len(counts)` rows of one column after another."""
    counts: tuple[int, ...]
    """How many rows went into each of the sums: one figure a dense matrix, one an expert otherwise."""

    @property
    def columns(self) -> int:
        """Columns of the matrix's input; of the older form, where experts are not told apart, of all of them."""
        return len(self.sums) // len(self.counts)


@dataclass(frozen=True)
class Imatrix:
    """A whole matrix."""

    path: Path
    entries: dict[str, ImatrixEntry]
    """By the name of the weight matrix."""
    datasets: tuple[str, ...]
    """Names of the texts that it was made of."""
    chunk_count: int
    chunk_tokens: int
    is_legacy: bool
    """Whether it stood in the older form, whose sums are means times `counts`."""


@dataclass(frozen=True)
class ImatrixSummary:
    """What a list shows of one, out of its header."""

    path: Path
    entry_count: int
    datasets: tuple[str, ...]
    chunk_count: int
    chunk_tokens: int
    size_bytes: int


def read_imatrix(path: Path) -> Imatrix:
    """Read a file of either form; raises `EdgetuiError`: `bad_file`, `not_found`, `no_permission`."""
    try:
        with open_regular(path) as stream:
            magic = stream.read(4)
            if magic == MAGIC:
                return _read_gguf(path, stream)
            stream.seek(0)
            return _read_legacy(path, stream)
    except FileNotFoundError as error:
        raise EdgetuiError("not_found", f"There is no file {path}: check the name.") from error
    except PermissionError as error:
        raise EdgetuiError("no_permission", f"{path} may not be read: change its permissions.") from error
    except OSError as error:
        raise EdgetuiError("bad_file", f"{path} cannot be read ({error.strerror}).") from error


def read_summary(path: Path) -> ImatrixSummary:
    """Read no more than the header of a matrix in GGUF form; raises as `read_imatrix`."""
    header = read_gguf_file(path)
    if header.text("general.type") != "imatrix":
        raise _bad(path, "it is a GGUF file, but of another kind")
    return ImatrixSummary(
        path=path,
        entry_count=sum(tensor.name.endswith(SUMS) for tensor in header.tensors),
        datasets=_datasets(header),
        chunk_count=header.number("imatrix.chunk_count") or 0,
        chunk_tokens=header.number("imatrix.chunk_size") or 0,
        size_bytes=header.size_bytes,
    )


def write_imatrix(
    path: Path, entries: Mapping[str, ImatrixEntry], *, dataset: str, chunk_count: int, chunk_tokens: int
) -> None:
    """Write the GGUF form as llama-imatrix does; raises OSError."""
    keys = [
        _key("general.type", _STRING, _text("imatrix")),
        _key("imatrix.datasets", _ARRAY, struct.pack("<IQ", _STRING, 1) + _text(dataset)),
        _key("imatrix.chunk_count", _U32, struct.pack("<I", chunk_count)),
        _key("imatrix.chunk_size", _U32, struct.pack("<I", chunk_tokens)),
    ]
    tensors: list[bytes] = []
    data: list[array[float]] = []
    offset = 0
    for name in sorted(entries):
        entry = entries[name]
        for suffix, columns, values in (
            (SUMS, entry.columns, entry.sums),
            (COUNTS, 1, array("f", entry.counts)),
        ):
            # ggml writes no dimension of 1 behind the first.
            shape = (columns, len(entry.counts)) if len(entry.counts) > 1 else (columns,)
            described = struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
            tensors.append(_text(name + suffix) + described + struct.pack("<IQ", _F32_TENSOR, offset))
            data.append(values)
            offset += _padded(4 * len(values))
    head = MAGIC + struct.pack("<IQQ", 3, len(tensors), len(keys)) + b"".join(keys) + b"".join(tensors)
    with path.open("wb") as stream:
        stream.write(head + bytes(-len(head) % _ALIGNMENT))
        for values in data:
            stream.write(_little_endian(values))
            stream.write(bytes(_padded(4 * len(values)) - 4 * len(values)))


def _read_gguf(path: Path, stream: BinaryIO) -> Imatrix:
    header = read_gguf_file(path)
    if header.architecture is not None:
        raise _bad(path, "it is a model")
    if header.byte_order != "little":
        raise _bad(path, "it is of a big-endian machine")
    if header.missing_bytes:
        raise _bad(path, "it is cut short")
    tensors = {tensor.name: tensor for tensor in header.tensors}
    names = sorted({name.removesuffix(SUMS).removesuffix(COUNTS) for name in tensors if name.endswith((SUMS, COUNTS))})
    entries = {}
    for name in names:
        sums, counts = tensors.get(name + SUMS), tensors.get(name + COUNTS)
        if sums is None or counts is None:
            raise _bad(path, f"the {'sums' if sums is None else 'counts'} of {_shown(name)} are missing")
        values, numbers = _values(path, stream, header, sums), _values(path, stream, header, counts)
        if not all(math.isfinite(number) and 0 <= number < 2**53 for number in numbers):
            raise _bad(path, f"the counts of {_shown(name)} are no counts")
        entries[name] = _entry(path, name, values, [round(number) for number in numbers])
    _require_entries(path, entries)
    if "imatrix.datasets" not in header.metadata or header.number("imatrix.chunk_count") is None:
        raise _bad(path, "it does not say how it was made")
    return Imatrix(
        path=path,
        entries=entries,
        datasets=_datasets(header),
        chunk_count=header.number("imatrix.chunk_count") or 0,
        chunk_tokens=header.number("imatrix.chunk_size") or 0,
        is_legacy=False,
    )


def _values(path: Path, stream: BinaryIO, header: GgufHeader, tensor: GgufTensor) -> array[float]:
    if tensor.type.name != "F32":
        raise _bad(path, f"{_shown(tensor.name)} is of the type {tensor.type.name} and not F32")
    stream.seek(header.data_offset + tensor.offset)
    return _floats(path, stream, tensor.size_bytes // 4, tensor.name)


def _read_legacy(path: Path, stream: BinaryIO) -> Imatrix:
    """The form before GGUF: a count, then name, calls and values of each entry, then chunks and the text's name."""
    size = os.fstat(stream.fileno()).st_size
    count = _number(path, stream)
    # An entry takes at least 17 bytes.
    if not 1 <= count <= min(MOST_ENTRIES, size // 17):
        raise _bad(path, "it does not begin as one")
    entries: dict[str, ImatrixEntry] = {}
    for _ in range(count):
        length = _number(path, stream)
        if not 1 <= length <= 4 * MOST_NAME_BYTES:
            raise _bad(path, f"it names a matrix with {length} bytes")
        name = _bytes(path, stream, length).decode("utf-8", "replace")
        calls, values = _number(path, stream), _number(path, stream)
        if calls < 0 or not 1 <= values <= (size - stream.tell()) // 4:
            raise _bad(path, f"{_shown(name)} has {values} values, more than the file can hold")
        if name in entries:
            raise _bad(path, f"{_shown(name)} stands in it twice")
        entries[name] = _entry(path, name, _floats(path, stream, values, name), [calls])
    chunk_count = 0
    datasets: tuple[str, ...] = ()
    if stream.tell() < size:
        chunk_count = max(0, _number(path, stream))
        if stream.tell() < size:
            length = _number(path, stream)
            if 0 < length <= size - stream.tell():
                datasets = (_bytes(path, stream, length).decode("utf-8", "replace"),)
    return Imatrix(path, entries, datasets, chunk_count, 0, is_legacy=True)


def _entry(path: Path, name: str, values: array[float], counts: list[int]) -> ImatrixEntry:
    if not counts or not values or len(values) % len(counts):
        raise _bad(path, f"{_shown(name)} has {len(values)} values for {len(counts)} counts")
    # In doubles the sum of floats is finite where each of them is.
    if not math.isfinite(sum(values)) or min(values) < 0:
        raise _bad(path, f"values of {_shown(name)} are no sums of squares")
    return ImatrixEntry(values, tuple(counts))


def _require_entries(path: Path, entries: Mapping[str, ImatrixEntry]) -> None:
    if not entries:
        raise _bad(path, "it has no entries")


def _datasets(header: GgufHeader) -> tuple[str, ...]:
    named = header.metadata.get("imatrix.datasets")
    return tuple(str(name) for name in named.first) if isinstance(named, GgufArray) else ()


def _floats(path: Path, stream: BinaryIO, count: int, name: str) -> array[float]:
    raw = stream.read(4 * count)
    if len(raw) < 4 * count:
        raise _bad(path, f"the values of {_shown(name)} are cut short")
    values = array("f", raw)
    if not _IS_LITTLE:
        values.byteswap()
    return values


def _little_endian(values: array[float]) -> bytes:
    if not _IS_LITTLE:
        values = array("f", values)
        values.byteswap()
    return values.tobytes()


def _number(path: Path, stream: BinaryIO) -> int:
    (value,) = struct.unpack("<i", _bytes(path, stream, 4))
    return int(value)


def _bytes(path: Path, stream: BinaryIO, count: int) -> bytes:
    raw = stream.read(count)
    if len(raw) < count:
        raise _bad(path, "it is cut short")
    return raw


def _bad(path: Path, reason: str) -> EdgetuiError:
    return EdgetuiError(
        "bad_file", f"{path.name} is not a usable importance matrix ({reason}): make one with `edgetui imatrix MODEL`."
    )


def _shown(name: str) -> str:
    plain = "".join(character if character.isprintable() else "?" for character in name)
    return plain if len(plain) <= 60 else f"{plain[:57]}..."


def _key(name: str, kind: int, value: bytes) -> bytes:
    return _text(name) + struct.pack("<I", kind) + value


def _text(text: str) -> bytes:
    raw = text.encode("utf-8", "replace")
    return struct.pack("<Q", len(raw)) + raw


def _padded(size_bytes: int) -> int:
    return -(-size_bytes // _ALIGNMENT) * _ALIGNMENT


_IS_LITTLE = struct.pack("=I", 1) == struct.pack("<I", 1)
