"""Sizes of GGUF files and tensors, worked out by ggml's own code."""

from __future__ import annotations

import ctypes
import math
import os
from contextlib import ExitStack
from functools import cache
from typing import TYPE_CHECKING, Any

from edgetui.core.failures import EdgetuiError
from edgetui.engines.llama_cpp import library

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

WRITTEN_ALIGNMENT = 32
"""What llama.cpp pads tensors to when it quantizes, whatever the source's own alignment is."""
_SPLIT_KEYS = (b"split.no", b"split.count", b"split.tensors.count")
_SET_KEYS = (b"general.quantization_version", b"general.file_type")


class _InitParams(ctypes.Structure):
    _fields_ = (("no_alloc", ctypes.c_bool), ("ctx", ctypes.POINTER(ctypes.c_void_p)))


def written_header_bytes(parts: Sequence[Path]) -> int:
    """Size of everything before the tensor data in the file that quantizing these parts gives.

    The types of the tensors do not matter to it.
    """
    ggml = _ggml()
    with ExitStack() as stack:
        written = ggml.gguf_init_empty()
        stack.callback(ggml.gguf_free, written)
        for index, part in enumerate(parts):
            header, tensors = _open(ggml, part, stack)
            if index == 0:
                ggml.gguf_set_kv(written, header)
            tensor = ggml.ggml_get_first_tensor(tensors)
            while tensor:
                ggml.gguf_add_tensor(written, tensor)
                tensor = ggml.ggml_get_next_tensor(tensors, tensor)
        for key in _SPLIT_KEYS:
            ggml.gguf_remove_key(written, key)
        for key in _SET_KEYS:
            ggml.gguf_set_val_u32(written, key, 0)
        return int(ggml.gguf_get_meta_size(written))


def tensor_bytes(type_name: str, shape: Sequence[int]) -> int:
    """Size of a tensor of a ggml type (`q4_K`) without padding; `shape[0]` is the length of a row."""
    return math.prod(shape[1:]) * int(_ggml().ggml_row_size(_type_numbers()[type_name], shape[0]))


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
        "gguf_remove_key": ([pointer, text], number),
        "gguf_add_tensor": ([pointer, pointer], None),
        "gguf_get_meta_size": ([pointer], ctypes.c_size_t),
        "ggml_get_first_tensor": ([pointer], pointer),
        "ggml_get_next_tensor": ([pointer, pointer], pointer),
        "ggml_free": ([pointer], None),
        "ggml_row_size": ([ctypes.c_int, number], ctypes.c_size_t),
        "ggml_type_name": ([ctypes.c_int], text),
    }
    for name, (arguments, result) in signatures.items():
        function = getattr(ggml, name)
        function.argtypes, function.restype = arguments, result
    return ggml
