"""A lean reader of safetensors headers (8-byte length, then JSON); tensor data is never read."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from edgetui.core.failures import EdgetuiError
from edgetui.core.models import TensorTypeShare
from edgetui.formats.regular_file import open_regular

if TYPE_CHECKING:
    from collections.abc import Sequence

_UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for bytes that are no JSON, or nested beyond reason."""
MOST_CONFIG_BYTES = 1 << 20
MOST_DIMENSIONS = 16
MOST_HEADER_BYTES = 100 * 1024 * 1024
"""The format's own limit."""

_BITS = {
    "F64": 64, "I64": 64, "U64": 64, "F32": 32, "I32": 32, "U32": 32, "F16": 16, "BF16": 16, "I16": 16, "U16": 16,
    "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "I8": 8, "U8": 8, "BOOL": 8, "F6_E2M3": 6, "F6_E3M2": 6, "F4": 4,
}  # fmt: skip


_Natural = Annotated[int, msgspec.Meta(ge=0)]


class _Entry(msgspec.Struct):
    dtype: str
    shape: list[_Natural]
    data_offsets: tuple[_Natural, _Natural]


@dataclass(frozen=True, slots=True)
class SafetensorsTensor:
    """One tensor as the header describes it."""

    name: str
    shape: tuple[int, ...]
    type_name: str
    size_bytes: int


@dataclass(frozen=True)
class SafetensorsModel:
    """All shards of a model in one folder, with what its `config.json` says."""

    parts: tuple[Path, ...]
    tensors: tuple[SafetensorsTensor, ...]
    size_bytes: int
    architecture: str | None
    context_length: int | None
    config: dict[str, Any]

    @property
    def parameter_count(self) -> int:
        """Elements of all tensors."""
        return sum(math.prod(tensor.shape) for tensor in self.tensors)

    @property
    def shares(self) -> tuple[TensorTypeShare, ...]:
        """Tensors by type, the largest share first."""
        sums: dict[str, list[int]] = {}
        for tensor in self.tensors:
            entry = sums.setdefault(tensor.type_name, [0, 0, 0])
            entry[0] += 1
            entry[1] += math.prod(tensor.shape)
            entry[2] += tensor.size_bytes
        shares = (TensorTypeShare(name, *entry) for name, entry in sums.items())
        return tuple(sorted(shares, key=lambda share: -share.size_bytes))


def read_safetensors(parts: Sequence[Path]) -> SafetensorsModel:
    """Read the headers of all shards and the `config.json` beside them.

    Raises `EdgetuiError("bad_file")` for a header that does not describe its file.
    """
    tensors: list[SafetensorsTensor] = []
    for part in parts:
        tensors += _read_header(part)
    config = _read_config(parts[0].parent / "config.json")
    text_config = config.get("text_config")
    nested = text_config if isinstance(text_config, dict) else {}
    architecture = config.get("model_type")
    context = config.get("max_position_embeddings", nested.get("max_position_embeddings"))
    return SafetensorsModel(
        parts=tuple(parts),
        tensors=tuple(tensors),
        size_bytes=sum(part.stat().st_size for part in parts),
        architecture=architecture if isinstance(architecture, str) else None,
        context_length=context if isinstance(context, int) else None,
        config=config,
    )


def _read_header(path: Path) -> list[SafetensorsTensor]:
    try:
        size = path.stat().st_size
        with open_regular(path) as stream:
            start = stream.read(8)
            length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
            if not 2 <= length <= min(size - 8, MOST_HEADER_BYTES):
                raise _bad(path, "its header has an impossible length")
            header = msgspec.json.decode(stream.read(length), type=dict[str, msgspec.Raw])
    except OSError as error:
        raise EdgetuiError("bad_file", f"{path.name} cannot be read ({error.strerror}).") from error
    except _UNDECODABLE as error:
        raise _bad(path, "its header is not a JSON object") from error
    data_bytes = size - 8 - length
    return [_tensor(path, name, entry, data_bytes) for name, entry in header.items() if name != "__metadata__"]


def _tensor(path: Path, name: str, raw: msgspec.Raw, data_bytes: int) -> SafetensorsTensor:
    try:
        entry = msgspec.json.decode(raw, type=_Entry)
    except _UNDECODABLE as error:
        raise _bad(path, "a tensor's entry is not understood") from error
    begin, end = entry.data_offsets
    if end > data_bytes:
        raise _bad(path, "it is cut short")
    if len(entry.shape) > MOST_DIMENSIONS:
        raise _bad(path, f"a tensor has {len(entry.shape)} dimensions")
    needed = (math.prod(entry.shape) * _BITS.get(entry.dtype, 0) + 7) // 8
    if entry.dtype not in _BITS or begin > end or needed != end - begin:
        raise _bad(path, "a tensor's entry does not fit its data")
    return SafetensorsTensor(name, tuple(entry.shape), entry.dtype, end - begin)


def _read_config(path: Path) -> dict[str, Any]:
    try:
        with open_regular(path) as stream:
            config = msgspec.json.decode(stream.read(MOST_CONFIG_BYTES))
    except (OSError, EdgetuiError, *_UNDECODABLE):
        # A folder of weights without a configuration is still a model; it only says less.
        return {}
    return config if isinstance(config, dict) else {}


def _bad(path: Path, reason: str) -> EdgetuiError:
    return EdgetuiError("bad_file", f"{path.name} is not a usable safetensors file ({reason}): get it again.")
