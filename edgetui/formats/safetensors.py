"""A lean reader of safetensors headers (8-byte length, then JSON); tensor data is never read."""

from __future__ import annotations

import math
import struct
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from edgetui.core.failures import EdgetuiError
from edgetui.core.models import TensorTypeShare
from edgetui.core.units import counted
from edgetui.formats.model_folder import CONFIG, INDEX, read_json
from edgetui.formats.regular_file import open_regular

if TYPE_CHECKING:
    from collections.abc import Sequence

_UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for bytes that are no JSON, or nested beyond reason."""
MOST_DIMENSIONS = 16
MOST_HEADER_BYTES = 100 * 1024 * 1024
"""The format's own limit."""

_BITS = {
    "F64": 64, "I64": 64, "U64": 64, "F32": 32, "I32": 32, "U32": 32, "F16": 16, "BF16": 16, "I16": 16, "U16": 16,
    "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "I8": 8, "U8": 8, "BOOL": 8, "F6_E2M3": 6, "F6_E3M2": 6, "F4": 4,
}  # fmt: skip


_WHOLE = frozenset({"model.safetensors", "consolidated.safetensors"})
"""Names of files that hold a whole model, whatever an index beside them says."""
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
    begin: int
    """Place of its data after the header."""
    part: Path
    """File that holds it."""


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
    def quant_type(self) -> str | None:
        """The dominant type; for weights that another library has packed, its name and their bits, as `gptq 4 bits`."""
        packed = self.config.get("quantization_config")
        if isinstance(packed, dict) and isinstance(method := packed.get("quant_method"), str):
            bits = packed.get("bits", packed.get("w_bit"))
            return f"{method} {bits} bits" if isinstance(bits, int) else method
        return self.shares[0].type_name if self.tensors else None

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
    """Read the headers of all shards, the `config.json` beside them and their index where they have one.

    Raises `EdgetuiError("bad_file")` for a header that does not describe its file, or shards that are not whole.
    """
    tensors: list[SafetensorsTensor] = []
    for part in parts:
        tensors += _read_header(part)
    folder = parts[0].parent
    _check_shards(folder, tensors)
    config = read_json(folder / CONFIG)
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


def _check_shards(folder: Path, tensors: list[SafetensorsTensor]) -> None:
    counts = Counter(tensor.name for tensor in tensors)
    name, count = next(iter(counts.most_common(1)), ("", 0))
    if count > 1:
        raise EdgetuiError("bad_file", f"{name[:100]!r} is in {count} of the shards of {folder.name}: get them again.")
    if any(tensor.part.name in _WHOLE for tensor in tensors):
        return
    named = read_json(folder / INDEX, MOST_HEADER_BYTES).get("weight_map")
    missing = [name for name in named if name not in counts] if isinstance(named, dict) else []
    if missing:
        raise EdgetuiError(
            "bad_file",
            f"The shards of {folder.name} lack {counted(len(missing), 'tensor')} that {INDEX} names, such as"
            f" {missing[0][:100]!r}: get them again.",
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
    except FileNotFoundError as error:
        raise EdgetuiError(
            "bad_file", f"{path.name} of {path.parent.name} is missing: put it beside the other files again."
        ) from error
    except OSError as error:
        raise EdgetuiError("bad_file", f"{path.name} cannot be read ({error.strerror}).") from error
    except _UNDECODABLE as error:
        raise _bad(path, "its header is not a JSON object") from error
    data_bytes = size - 8 - length
    tensors = [_tensor(path, name, entry, data_bytes) for name, entry in header.items() if name != "__metadata__"]
    place = 0
    # As the format's own library wants it: each byte of the data belongs to one tensor.
    for tensor in sorted(tensors, key=lambda each: (each.begin, each.size_bytes)):
        if tensor.begin < place:
            raise _bad(path, f"{tensor.name[:100]!r} lies over another tensor's bytes")
        if tensor.begin > place:
            raise _bad(path, f"the bytes before {tensor.name[:100]!r} belong to no tensor")
        place = tensor.begin + tensor.size_bytes
    if place != data_bytes:
        raise _bad(path, f"{data_bytes - place} bytes at its end belong to no tensor")
    return tensors


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
    if entry.dtype not in _BITS:
        raise _bad(path, f"{name[:100]!r} has the unknown type {entry.dtype[:100]!r}")
    if begin > end or (math.prod(entry.shape) * _BITS[entry.dtype] + 7) // 8 != end - begin:
        raise _bad(path, f"the entry of {name[:100]!r} does not fit its data")
    return SafetensorsTensor(name, tuple(entry.shape), entry.dtype, end - begin, begin, path)


def _bad(path: Path, reason: str) -> EdgetuiError:
    return EdgetuiError("bad_file", f"{path.name} is not a usable safetensors file ({reason}): get it again.")
