"""Sizes of GGUF files and tensors, worked out by ggml's own code."""

from __future__ import annotations

import ctypes
import math
import os
import re
from contextlib import ExitStack
from functools import cache
from typing import TYPE_CHECKING, Any

from edgetui.core.failures import EdgetuiError
from edgetui.core.quant_options import QuantOptions
from edgetui.engines.llama_cpp import library

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edgetui.formats.gguf_header import GgufHeader

WRITTEN_ALIGNMENT = 32
"""What llama.cpp pads tensors to when it quantizes, whatever the source's own alignment is."""
_LAYER = re.compile(r"blk\.(\d+)\.")
_USUAL = QuantOptions()
_SPLIT_KEYS = (b"split.no", b"split.count", b"split.tensors.count")
_SET_KEYS = (b"general.quantization_version", b"general.file_type")


class _InitParams(ctypes.Structure):
    _fields_ = (("no_alloc", ctypes.c_bool), ("ctx", ctypes.POINTER(ctypes.c_void_p)))


def written_header_bytes(
    header: GgufHeader, options: QuantOptions = _USUAL, keys: Sequence[tuple[str, str | int]] = ()
) -> int:
    """Size of everything before the tensor data in the files that quantizing a model gives, all files together.

    The types of the tensors do not matter to it. `keys` are metadata that is written in addition.
    """
    ggml = _ggml()
    files: list[Any] = []
    with ExitStack() as stack:
        for index, part in enumerate(header.parts):
            source, tensors = _open(ggml, part, stack)
            if index == 0 or options.keep_split:
                files.append(ggml.gguf_init_empty())
                stack.callback(ggml.gguf_free, files[-1])
            if index == 0:
                ggml.gguf_set_kv(files[0], source)
            tensor = ggml.ggml_get_first_tensor(tensors)
            while tensor:
                name = pruned_name(ggml.ggml_get_name(tensor).decode("utf-8", "replace"), options.prune_layers)
                if name is not None:
                    ggml.ggml_set_name(tensor, name.encode())
                    ggml.gguf_add_tensor(files[-1], tensor)
                tensor = ggml.ggml_get_next_tensor(tensors, tensor)
        _set_keys(ggml, files, header, options, keys)
        return sum(int(ggml.gguf_get_meta_size(file)) for file in files)


def pruned_name(name: str, pruned: Sequence[int]) -> str | None:
    """The name of a tensor once these layers are left out and those after them have moved up; None of one left out."""
    match = _LAYER.search(name) if pruned else None
    if match is None:
        return name
    layer = int(match[1])
    if layer in pruned:
        return None
    moved = layer - sum(left_out < layer for left_out in pruned)
    return f"{name[: match.start(1)]}{moved}{name[match.end(1) :]}"


def tensor_bytes(type_name: str, shape: Sequence[int]) -> int:
    """Size of a tensor of a ggml type (`q4_K`) without padding; `shape[0]` is the length of a row."""
    return math.prod(shape[1:]) * int(_ggml().ggml_row_size(_type_numbers()[type_name], shape[0]))


def type_number(type_name: str) -> int:
    """ggml's number of a tensor type, by its name in any case."""
    numbers = {name.upper(): number for name, number in _type_numbers().items()}
    return numbers[type_name.upper()]


def padded(size_bytes: int) -> int:
    """With the padding that follows a tensor in a file."""
    return -(-size_bytes // WRITTEN_ALIGNMENT) * WRITTEN_ALIGNMENT


@cache
def _type_numbers() -> dict[str, int]:
    """ggml's own names of its tensor types."""
    lib, ggml = library.load(), _ggml()
    numbers = {}
    for number in range(lib.GGML_TYPE_COUNT):
        name = ggml.ggml_type_name(number)
        if name:
            numbers[name.decode()] = number
    return numbers


def _set_keys(
    ggml: Any, files: Sequence[Any], header: GgufHeader, options: QuantOptions, keys: Sequence[tuple[str, str | int]]
) -> None:
    """The keys that llama.cpp removes and sets; only their sizes matter here."""
    for key in _SPLIT_KEYS:
        ggml.gguf_remove_key(files[0], key)
    for key in _SET_KEYS:
        ggml.gguf_set_val_u32(files[0], key, 0)
    for name, value in keys:
        if isinstance(value, str):
            ggml.gguf_set_val_str(files[0], name.encode(), value.encode())
        else:
            ggml.gguf_set_val_u32(files[0], name.encode(), value)
    if options.prune_layers:
        ggml.gguf_set_val_u32(files[0], f"{header.architecture}.block_count".encode(), 0)
    if len(files) > 1:
        for file in files:
            ggml.gguf_set_val_u16(file, _SPLIT_KEYS[0], 0)
            ggml.gguf_set_val_u16(file, _SPLIT_KEYS[1], 0)
            ggml.gguf_set_val_i32(file, _SPLIT_KEYS[2], 0)


def _open(ggml: Any, path: Path, stack: ExitStack) -> tuple[Any, Any]:
    """Header and list of tensors of a file, without their data; freed with `stack`."""
    tensors = ctypes.c_void_p()
    header = ggml.gguf_init_from_file(os.fsencode(path), _InitParams(True, ctypes.pointer(tensors)))
    if not header:
        raise EdgetuiError("bad_file", f"llama.cpp cannot read the header of {path.name}: the file is damaged.")
    stack.callback(ggml.gguf_free, header)
    stack.callback(ggml.ggml_free, tensors)
    return header, tensors


@cache
def _ggml() -> Any:
    """ggml's library with the signatures of what is used here."""
    library.load()
    import llama_cpp._ggml as binding

    ggml = binding.libggml
    pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int64
    signatures: dict[str, tuple[list[Any], Any]] = {
        "gguf_init_from_file": ([text, _InitParams], pointer),
        "gguf_init_empty": ([], pointer),
        "gguf_free": ([pointer], None),
        "gguf_set_kv": ([pointer, pointer], None),
        "gguf_set_val_u32": ([pointer, text, ctypes.c_uint32], None),
        "gguf_set_val_u16": ([pointer, text, ctypes.c_uint16], None),
        "gguf_set_val_i32": ([pointer, text, ctypes.c_int32], None),
        "gguf_set_val_str": ([pointer, text, text], None),
        "gguf_remove_key": ([pointer, text], number),
        "gguf_add_tensor": ([pointer, pointer], None),
        "gguf_get_meta_size": ([pointer], ctypes.c_size_t),
        "ggml_get_first_tensor": ([pointer], pointer),
        "ggml_get_next_tensor": ([pointer, pointer], pointer),
        "ggml_get_name": ([pointer], text),
        "ggml_set_name": ([pointer, text], pointer),
        "ggml_free": ([pointer], None),
        "ggml_row_size": ([ctypes.c_int, number], ctypes.c_size_t),
        "ggml_type_name": ([ctypes.c_int], text),
    }
    for name, (arguments, result) in signatures.items():
        function = getattr(ggml, name)
        function.argtypes, function.restype = arguments, result
    return ggml
