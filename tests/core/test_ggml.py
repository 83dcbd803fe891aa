from __future__ import annotations

import subprocess
import sys

import msgspec

from edgetui.core.ggml import FILE_TYPES, TENSOR_TYPES, tensor_bytes

# In a process of its own, since nothing but a worker may load the native library.
_ASK_GGML = """
import ctypes, json
from edgetui.engines.llama_cpp import library, quant_types
lib = library.load()
import llama_cpp._ggml as binding
ggml = binding.libggml
ggml.ggml_type_name.restype = ctypes.c_char_p
ggml.ggml_type_size.restype = ctypes.c_size_t
ggml.ggml_blck_size.restype = ctypes.c_int64
types = {}
for number in range(lib.GGML_TYPE_COUNT):
    name = ggml.ggml_type_name(number)
    if name and ggml.ggml_blck_size(number):
        types[number] = (name.decode().upper(), ggml.ggml_blck_size(number), ggml.ggml_type_size(number))
print(json.dumps([types, {number: name for name, number in quant_types.known_types().items()}]))
"""


def test_the_tables_are_those_of_the_installed_library() -> None:
    answer = subprocess.run([sys.executable, "-c", _ASK_GGML], capture_output=True, check=True).stdout
    types, file_types = msgspec.json.decode(answer, type=tuple[dict[int, tuple[str, int, int]], dict[int, str]])
    assert {number: tuple(kind) for number, kind in TENSOR_TYPES.items()} == types
    assert file_types == FILE_TYPES


def test_a_tensor_takes_whole_blocks() -> None:
    assert tensor_bytes(TENSOR_TYPES[2], (64, 3)) == 6 * 18
