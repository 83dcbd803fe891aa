"""What must hold of a GGUF header before native code may load the file.

Crafted headers have meant memory corruption in llama.cpp again and again: layer counts, array element types,
alignment, products of dimensions. Whatever is odd is refused here, with the reason.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from edgetui.core.failures import EdgetuiError
from edgetui.core.units import format_bytes
from edgetui.formats.gguf_header import GgufArray

if TYPE_CHECKING:
    from edgetui.formats.gguf_header import GgufHeader

MOST_LAYERS = 4096
"""Far above any model; llama.cpp's own arrays a layer are sized by a constant below this."""

_TOKEN_ARRAYS = {"tokenizer.ggml.scores": ("f32",), "tokenizer.ggml.token_type": ("i32", "u32")}
_COUNTS = ("block_count", "embedding_length", "context_length", "attention.head_count")
_MAY_BE_ZERO = ("attention.head_count_kv", "feed_forward_length", "expert_count", "expert_used_count", "vocab_size")


def check_header(header: GgufHeader) -> None:
    """Raises `EdgetuiError("bad_file")` or `unsupported` for a file that must not be loaded."""
    if header.byte_order != sys.byteorder:
        raise EdgetuiError(
            "unsupported",
            f"{header.path.name} is {header.byte_order}-endian and this machine is {sys.byteorder}-endian:"
            " get the build for this machine.",
        )
    _check_data(header)
    _check_model(header)
    _check_vocabulary(header)


def _refuse(header: GgufHeader, reason: str) -> EdgetuiError:
    return EdgetuiError("bad_file", f"{header.path.name} is not a usable model ({reason}): download or copy it again.")


def _check_data(header: GgufHeader) -> None:
    if not header.tensors:
        raise _refuse(header, "it has no tensors")
    if header.missing_bytes:
        raise EdgetuiError(
            "bad_file",
            f"{header.path.name} is cut short: {format_bytes(header.missing_bytes)} of its tensors are missing;"
            " download or copy it again.",
        )
    if len(header.parts) > 1:
        declared = header.number("split.tensors.count")
        if declared is not None and declared != len(header.tensors):
            raise _refuse(header, f"its parts hold {len(header.tensors)} tensors and {declared} are announced")
    part, end = 0, 0
    for tensor in sorted(header.tensors, key=lambda tensor: (tensor.part, tensor.offset)):
        if tensor.part != part:
            part, end = tensor.part, 0
        if tensor.offset % header.alignment:
            raise _refuse(header, f"the tensor {tensor.name[:60]!r} is not aligned to {header.alignment} bytes")
        if tensor.offset < end:
            raise _refuse(header, f"the tensor {tensor.name[:60]!r} overlaps another")
        end = tensor.offset + tensor.size_bytes


def _check_model(header: GgufHeader) -> None:
    architecture = header.architecture
    if not architecture:
        raise _refuse(header, "it names no architecture")
    if not (architecture.isascii() and architecture.isprintable() and len(architecture) <= 64):
        raise _refuse(header, f"its architecture is named {architecture[:60]!r}")
    for key in (*_COUNTS, *_MAY_BE_ZERO):
        value = header.metadata.get(f"{architecture}.{key}")
        if value is None:
            continue
        items = value.first if isinstance(value, GgufArray) else (value,)
        for item in items:
            if isinstance(item, bool) or not isinstance(item, int) or not 0 <= item < 2**31:
                raise _refuse(header, f"{architecture}.{key} is {str(item)[:60]!r}")
            if item == 0 and key in _COUNTS and not isinstance(value, GgufArray):
                raise _refuse(header, f"{architecture}.{key} is 0")
    layers = header.of_architecture("block_count")
    if layers is not None and layers > min(MOST_LAYERS, len(header.tensors)):
        raise _refuse(header, f"it claims {layers} layers and has {len(header.tensors)} tensors")


def _check_vocabulary(header: GgufHeader) -> None:
    tokens = header.metadata.get("tokenizer.ggml.tokens")
    if tokens is None:
        return
    if not isinstance(tokens, GgufArray) or tokens.type_name != "string" or not tokens.count:
        raise _refuse(header, "its vocabulary is not a list of texts")
    for key, types in _TOKEN_ARRAYS.items():
        values = header.metadata.get(key)
        if values is None:
            continue
        if not isinstance(values, GgufArray) or values.type_name not in types:
            raise _refuse(header, f"{key} is not a list of numbers")
        if values.count != tokens.count:
            raise _refuse(header, f"{key} has {values.count} entries and the vocabulary {tokens.count}")
    merges = header.metadata.get("tokenizer.ggml.merges")
    if merges is not None and (not isinstance(merges, GgufArray) or merges.type_name != "string"):
        raise _refuse(header, "its tokenizer merges are not a list of texts")
    for key, value in header.metadata.items():
        special = key.startswith("tokenizer.ggml.") and key.endswith("_token_id")
        # llama.cpp itself takes an id beyond the vocabulary for "none"; a text there crashes it.
        if special and (isinstance(value, bool) or not isinstance(value, int)):
            raise _refuse(header, f"{key} is not a number")
