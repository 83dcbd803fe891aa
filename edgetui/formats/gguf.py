"""A lean reader of GGUF headers, v2 and v3, both byte orders, split files; tensor data is never read.

`check_loadable` is the gate before native code sees a file (see `gguf_checks`).
"""

from __future__ import annotations

import os
import re
import struct
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from edgetui.core.failures import EdgetuiError
from edgetui.core.ggml import TENSOR_TYPES, TensorType, tensor_bytes
from edgetui.formats.gguf_header import GgufArray, GgufHeader, GgufTensor
from edgetui.formats.regular_file import open_regular

if TYPE_CHECKING:
    from collections.abc import Sequence

MAGIC = b"GGUF"
DEFAULT_ALIGNMENT = 32
MAX_KEY_BYTES = 65_535
MAX_DIMENSIONS = 4
_BLOCK_BYTES = 1 << 18
_KEPT_ELEMENTS = 8
"""Elements of an array that are read; of the rest only the place is known."""

# GGUF value types: number -> (name, struct code, bytes).
_SCALARS: dict[int, tuple[str, str, int]] = {
    0: ("u8", "B", 1),
    1: ("i8", "b", 1),
    2: ("u16", "H", 2),
    3: ("i16", "h", 2),
    4: ("u32", "I", 4),
    5: ("i32", "i", 4),
    6: ("f32", "f", 4),
    7: ("bool", "?", 1),
    10: ("u64", "Q", 8),
    11: ("i64", "q", 8),
    12: ("f64", "d", 8),
}
_STRING, _ARRAY = 8, 9
_SPLIT_NAME = re.compile(r"^(?P<stem>.*)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf$")


def is_split_name(path: Path) -> bool:
    """Whether a file of that name would be taken for a part of a split model."""
    return _SPLIT_NAME.match(path.name) is not None


def split_parts(path: Path) -> tuple[Path, ...]:
    """Names of all files of the split model that `path` is part of; `path` alone when it is not split."""
    match = _SPLIT_NAME.match(path.name)
    if match is None or not 1 <= int(match["number"]) <= int(match["count"]):
        return (path,)
    count = int(match["count"])
    return tuple(path.with_name(f"{match['stem']}-{n:05d}-of-{match['count']}.gguf") for n in range(1, count + 1))


def read_gguf(path: Path) -> GgufHeader:
    """Read the header of a model: one file, or all parts of a split one.

    Raises `EdgetuiError`: `not_found`, `no_permission`, `bad_file`. The tensor data may be short
    (`missing_bytes`); everything else that is read has been found in place.
    """
    parts = split_parts(path)
    if len(parts) > 1 and path != parts[0] and not parts[0].exists():
        raise EdgetuiError(
            "bad_file", f"{path.name} is part of a split model whose first part, {parts[0].name}, is missing."
        )
    absent = [part.name for part in parts[1:] if not part.exists()]
    if absent:
        raise EdgetuiError(
            "bad_file",
            f"{parts[0].name} is split in {len(parts)} files and {absent[0]} is missing"
            f"{f' with {len(absent) - 1} more' if len(absent) > 1 else ''}: get all of them into one folder.",
        )
    first = read_gguf_file(parts[0])
    if len(parts) == 1:
        declared = first.number("split.count")
        if declared is not None and declared > 1:
            raise EdgetuiError(
                "bad_file",
                f"{path.name} is one of {declared} files of a split model but is not named as such:"
                " give the files back their names (-00001-of-0000N.gguf).",
            )
        return first
    rest = [read_gguf_file(part) for part in parts[1:]]
    return GgufHeader(
        path=first.path,
        parts=parts,
        version=first.version,
        byte_order=first.byte_order,
        metadata=first.metadata,
        types=first.types,
        tensors=first.tensors
        + tuple(replace(tensor, part=number) for number, part in enumerate(rest, start=1) for tensor in part.tensors),
        alignment=first.alignment,
        tensors_offset=first.tensors_offset,
        data_offset=first.data_offset,
        size_bytes=first.size_bytes + sum(part.size_bytes for part in rest),
        missing_bytes=first.missing_bytes + sum(part.missing_bytes for part in rest),
    )


def check_loadable(path: Path) -> GgufHeader:
    """Read a header and refuse what native code must not see; raises `EdgetuiError` with the reason."""
    from edgetui.formats.gguf_checks import check_header

    header = read_gguf(path)
    check_header(header)
    return header


def read_gguf_file(path: Path) -> GgufHeader:
    """The header of one file alone, whatever it is called and part of; raises `EdgetuiError` as `read_gguf`."""
    try:
        with open_regular(path) as stream:
            size = os.fstat(stream.fileno()).st_size
            if size < 24:
                raise _bad(path, f"it is only {size} bytes long")
            return _Cursor(path, stream, size).header()
    except FileNotFoundError as error:
        raise EdgetuiError("not_found", f"There is no file {path}: check the name.") from error
    except PermissionError as error:
        raise EdgetuiError("no_permission", f"{path} may not be read: change its permissions.") from error
    except OSError as error:
        raise EdgetuiError("bad_file", f"{path} cannot be read ({error.strerror}).") from error
    except struct.error as error:
        raise _bad(path, "its header is cut short") from error


def _bad(path: Path, reason: str) -> EdgetuiError:
    return EdgetuiError("bad_file", f"{path.name} is not a usable GGUF file ({reason}): download or copy it again.")


class _Cursor:
    """Reads one file from front to back; every count is held against the bytes that are left."""

    def __init__(self, path: Path, stream: BinaryIO, size: int) -> None:
        self._path = path
        self._stream = stream
        self._size = size
        # A part of the file and where it begins. Read, not mapped: a mapped file that another program cuts short
        # meanwhile ends this process with SIGBUS.
        self._data, self._data_at = b"", 0
        self._at = 4
        self._order = "<"

    def header(self) -> GgufHeader:
        self._fetch(0, 8)
        start = self._data[:64]
        if start[:4] != MAGIC:
            what = "it is text" if start.isascii() and b"\0" not in start else "it does not begin with GGUF"
            raise _bad(self._path, what)
        (version,) = struct.unpack_from("<I", start, 4)
        if version & 0xFFFF == 0 and version:
            self._order = ">"
        version = self._scalar("I", 4)
        if version == 1:
            raise EdgetuiError(
                "unsupported", f"{self._path.name} is GGUF version 1, which nothing reads any more: get a newer build."
            )
        if version not in (2, 3):
            raise EdgetuiError(
                "unsupported", f"{self._path.name} is GGUF version {version}, and versions 2 and 3 are known."
            )
        tensor_count, key_count = self._scalar("Q", 8), self._scalar("Q", 8)
        # The smallest tensor entry takes 32 bytes and the smallest key 13.
        self._limit(tensor_count, 32, "tensors")
        self._limit(key_count, 13, "keys")
        metadata, types = self._metadata(key_count)
        alignment = metadata.get("general.alignment", DEFAULT_ALIGNMENT)
        if types.get("general.alignment", "u32") != "u32" or alignment < 8 or alignment & (alignment - 1):
            raise _bad(self._path, f"its alignment is {_shown(alignment)}, not a power of two from 8 up")
        tensors_offset = self._at
        tensors = self._tensors(tensor_count)
        data_offset = -(-self._at // alignment) * alignment
        ends = max((tensor.offset + tensor.size_bytes for tensor in tensors), default=0)
        return GgufHeader(
            path=self._path,
            parts=(self._path,),
            version=version,
            byte_order="little" if self._order == "<" else "big",
            metadata=metadata,
            types=types,
            tensors=tuple(tensors),
            alignment=alignment,
            tensors_offset=tensors_offset,
            data_offset=data_offset,
            size_bytes=self._size,
            missing_bytes=max(0, data_offset + ends - self._size),
        )

    def _metadata(self, count: int) -> tuple[dict[str, Any], dict[str, str]]:
        metadata: dict[str, Any] = {}
        types: dict[str, str] = {}
        for _ in range(count):
            key = self._string(MAX_KEY_BYTES)
            if key in metadata:
                raise _bad(self._path, f"the key {_shown(key)} stands in it twice")
            kind = self._scalar("I", 4)
            if kind == _STRING:
                metadata[key], types[key] = self._string(), "string"
            elif kind == _ARRAY:
                array = self._array(key)
                metadata[key], types[key] = array, f"{array.type_name}[{array.count}]"
            elif kind in _SCALARS:
                name, code, size = _SCALARS[kind]
                metadata[key], types[key] = self._scalar(code, size), name
            else:
                raise _bad(self._path, f"the key {_shown(key)} has the unknown value type {kind}")
        return metadata, types

    def _array(self, key: str) -> GgufArray:
        kind, count = self._scalar("I", 4), self._scalar("Q", 8)
        if kind in _SCALARS:
            name, code, size = _SCALARS[kind]
            self._limit(count, size, f"elements of {_shown(key)}")
            kept = min(count, _KEPT_ELEMENTS if size < 4 or count > 512 else 512)
            offset = self._fetch(self._at, kept * size)
            first = struct.unpack_from(f"{self._order}{kept}{code}", self._data, offset)
            self._at += count * size
            return GgufArray(name, count, first)
        if kind != _STRING:
            raise _bad(self._path, f"the array {_shown(key)} has the unsupported element type {kind}")
        self._limit(count, 8, f"strings of {_shown(key)}")
        kept = min(count, _KEPT_ELEMENTS)
        strings = tuple(self._string() for _ in range(kept))
        self._skip_strings(count - kept, key)
        return GgufArray("string", count, strings)

    def _skip_strings(self, count: int, key: str) -> None:
        """Step from length to length: a vocabulary has hundreds of thousands."""
        length_at = struct.Struct(f"{self._order}Q").unpack_from
        while count:
            offset = self._fetch(self._at, 8)
            data = self._data
            first = offset
            while count >= 8:
                try:
                    # One by one in a loop of their own they take a quarter longer.
                    at = offset + 8 + length_at(data, offset)[0]
                    at += 8 + length_at(data, at)[0]
                    at += 8 + length_at(data, at)[0]
                    at += 8 + length_at(data, at)[0]
                    at += 8 + length_at(data, at)[0]
                    at += 8 + length_at(data, at)[0]
                    at += 8 + length_at(data, at)[0]
                    at += 8 + length_at(data, at)[0]
                except (struct.error, OverflowError):
                    # Beyond what was fetched.
                    break
                offset, count = at, count - 8
            if offset == first:
                offset, count = offset + 8 + length_at(data, offset)[0], count - 1
            self._at += offset - first
            if self._at > self._size:
                raise _bad(self._path, f"a string of {_shown(key)} is longer than the file")

    def _tensors(self, count: int) -> list[GgufTensor]:
        tensors: list[GgufTensor] = []
        names: set[str] = set()
        for _ in range(count):
            name = self._string(MAX_KEY_BYTES)
            if name in names:
                raise _bad(self._path, f"the tensor {_shown(name)} stands in it twice")
            names.add(name)
            dimensions = self._scalar("I", 4)
            if not 1 <= dimensions <= MAX_DIMENSIONS:
                raise _bad(self._path, f"the tensor {_shown(name)} has {dimensions} dimensions")
            shape = tuple(self._scalar("Q", 8) for _ in range(dimensions))
            number, offset = self._scalar("I", 4), self._scalar("Q", 8)
            kind = TENSOR_TYPES.get(number)
            if kind is None:
                raise EdgetuiError(
                    "unsupported",
                    f"{self._path.name} stores the tensor {_shown(name)} in the type {number}, which is not known:"
                    " the file is damaged, or newer than this edgetui.",
                )
            tensors.append(GgufTensor(name, shape, kind, offset, self._checked_size(name, shape, kind, offset)))
        return tensors

    def _checked_size(self, name: str, shape: Sequence[int], kind: TensorType, offset: int) -> int:
        elements = 1
        for extent in shape:
            elements *= extent
            if extent < 1 or elements > 2**62:
                raise _bad(self._path, f"the tensor {_shown(name)} has the shape {list(shape)}")
        if shape[0] % kind.block_elements:
            raise _bad(
                self._path,
                f"the rows of {_shown(name)} have {shape[0]} elements, which do not divide into {kind.name} blocks",
            )
        if offset > 2**62:
            raise _bad(self._path, f"the tensor {_shown(name)} lies at the impossible offset {offset}")
        return tensor_bytes(kind, shape)

    def _scalar(self, code: str, size: int) -> Any:
        offset = self._fetch(self._at, size)
        (value,) = struct.unpack_from(self._order + code, self._data, offset)
        self._at += size
        return value

    def _string(self, most: int | None = None) -> str:
        length = self._scalar("Q", 8)
        if length > self._size - self._at or (most is not None and length > most):
            raise _bad(self._path, f"a text of {length} bytes stands where it cannot")
        offset = self._fetch(self._at, length)
        self._at += length
        return self._data[offset : offset + length].decode("utf-8", "replace")

    def _fetch(self, at: int, size: int) -> int:
        """Have that many bytes of the file in `_data`; returns where in it they begin."""
        offset = at - self._data_at
        if offset + size > len(self._data):
            self._stream.seek(at)
            self._data, self._data_at, offset = self._stream.read(max(size, _BLOCK_BYTES)), at, 0
            if len(self._data) < size:
                raise _bad(self._path, "its header is cut short")
        return offset

    def _limit(self, count: int, size: int, what: str) -> None:
        if count * size > self._size - self._at:
            raise _bad(self._path, f"it claims {count} {what}, more than the file can hold")


def _shown(text: object) -> str:
    """A piece of the file inside a sentence: short and printable."""
    plain = "".join(character if character.isprintable() else "?" for character in str(text))
    return plain if len(plain) <= 60 else f"{plain[:57]}..."
