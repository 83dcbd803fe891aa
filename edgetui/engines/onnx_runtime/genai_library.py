"""onnxruntime-genai by its C interface (`ort_genai_c.h`): a model, and a generator over its KV cache.

The package's own Python classes hold the interpreter's lock while they compute, so a worker would neither see that it
shall stop nor tell how far it is. Through ctypes the lock is free meanwhile, and a run that is under way can be ended.
"""

from __future__ import annotations

import ctypes
import functools
import os
import sys
import threading
from contextlib import contextmanager
from ctypes import byref, c_bool, c_char_p, c_double, c_int, c_int64, c_size_t, c_void_p
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy
    from numpy.typing import NDArray

_LIBRARY_NAMES = {"win32": "onnxruntime-genai.dll", "darwin": "libonnxruntime-genai.dylib"}
_DTYPES = {1: "float32", 10: "float16"}
"""`ONNXTensorElementDataType` of what logits may be."""
_TERMINATED = ("terminate flag", "Terminated state")
"""In what ONNX Runtime says of a run that was ended, and genai of any call until that is taken back."""

_SIGNATURES: dict[str, list[Any]] = {
    "OgaCreateConfig": [c_char_p, c_void_p],
    "OgaConfigOverlay": [c_void_p, c_char_p],
    "OgaConfigClearProviders": [c_void_p],
    "OgaCreateModelFromConfig": [c_void_p, c_void_p],
    "OgaModelGetDeviceType": [c_void_p, c_void_p],
    "OgaCreateGeneratorParams": [c_void_p, c_void_p],
    "OgaGeneratorParamsSetSearchNumber": [c_void_p, c_char_p, c_double],
    "OgaGeneratorParamsSetSearchBool": [c_void_p, c_char_p, c_bool],
    "OgaCreateGenerator": [c_void_p, c_void_p, c_void_p],
    "OgaGenerator_AppendTokens": [c_void_p, c_void_p, c_size_t],
    "OgaGenerator_RewindTo": [c_void_p, c_size_t],
    "OgaGenerator_SetRuntimeOption": [c_void_p, c_char_p, c_char_p],
    "OgaGenerator_GetLogits": [c_void_p, c_void_p],
    "OgaTensorGetShapeRank": [c_void_p, c_void_p],
    "OgaTensorGetShape": [c_void_p, c_void_p, c_size_t],
    "OgaTensorGetType": [c_void_p, c_void_p],
    "OgaTensorGetData": [c_void_p, c_void_p],
}
"""Functions that return an `OgaResult*`, null when all is well."""
_DESTROYERS = (
    "OgaDestroyResult", "OgaDestroyString", "OgaDestroyConfig", "OgaDestroyModel", "OgaDestroyGeneratorParams",
    "OgaDestroyGenerator", "OgaDestroyTensor",
)  # fmt: skip


class Terminated(RuntimeError):
    """A run was ended by `Generator.terminate`; the cache holds what it held before."""


class Model:
    """The weights of one folder with a `genai_config.json`; `close` frees them."""

    def __init__(self, folder: Path, overlay: str, *, without_providers: bool) -> None:
        """Load; `overlay` is JSON laid over the configuration, `without_providers` leaves the CPU alone.

        Raises RuntimeError in the library's words, ImportError where the package is not there.
        """
        config = _new("OgaCreateConfig", os.fsencode(folder))
        try:
            _call("OgaConfigOverlay", config, overlay.encode())
            if without_providers:
                _call("OgaConfigClearProviders", config)
            self.handle = _new("OgaCreateModelFromConfig", config)
        finally:
            _library().OgaDestroyConfig(config)

    @property
    def device(self) -> str:
        """What computes, such as `CPU` or `CUDA`."""
        text = c_char_p()
        _call("OgaModelGetDeviceType", self.handle, byref(text))
        said = (text.value or b"").decode("utf-8", "replace")
        _library().OgaDestroyString(text)
        return said

    def close(self) -> None:
        """Free the weights; a second call does nothing."""
        if self.handle:
            _library().OgaDestroyModel(self.handle)
            self.handle = c_void_p()


class Generator:
    """A KV cache of one sequence and the logits after it; `close` frees it."""

    def __init__(self, model: Model, length: int, options: Mapping[str, float | bool] | None = None) -> None:
        """`length` is the most tokens that the cache takes; `options` are genai's search options."""
        params = _new("OgaCreateGeneratorParams", model.handle)
        try:
            for name, value in {"max_length": length, "batch_size": 1, **(options or {})}.items():
                kind = "Bool" if isinstance(value, bool) else "Number"
                _call(f"OgaGeneratorParamsSetSearch{kind}", params, name.encode(), value)
            self._handle = _new("OgaCreateGenerator", model.handle, params)
        finally:
            _library().OgaDestroyGeneratorParams(params)
        # Another thread may want to end a run just when this is closed.
        self._closing = threading.Lock()
        # Asked once: after a model's weights have gone through the processor's cache, each call costs some 15 us.
        self._logits_type: tuple[numpy.dtype[Any], type[ctypes.Array[ctypes.c_char]]] | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is a cache."""
        return bool(self._handle)

    def append(self, tokens: Sequence[int]) -> None:
        """Compute tokens after those that the cache holds.

        Raises `Terminated`, after which only `rewind` may follow.
        """
        array = (ctypes.c_int32 * len(tokens))(*tokens)
        _call("OgaGenerator_AppendTokens", self._handle, array, len(tokens))

    def rewind(self, length: int) -> None:
        """Forget all tokens of the cache but so many, and that a run was ended."""
        self.terminate(False)
        _call("OgaGenerator_RewindTo", self._handle, length)

    def terminate(self, wanted: bool = True) -> None:
        """End the run under way, from another thread; every further one ends too until this is taken back."""
        with self._closing:
            if self._handle:
                _call("OgaGenerator_SetRuntimeOption", self._handle, b"terminate_session", b"1" if wanted else b"0")

    @contextmanager
    def logits(self) -> Iterator[NDArray[numpy.float32]]:
        """Of the token after the last one, by token: a copy that lives as long as the context. Raises `Terminated`."""
        tensor = _new("OgaGenerator_GetLogits", self._handle)
        try:
            yield self._numbers(tensor)
        finally:
            _library().OgaDestroyTensor(tensor)

    def _numbers(self, tensor: c_void_p) -> NDArray[numpy.float32]:
        """What a tensor of logits holds, where it lies."""
        import numpy

        if self._logits_type is None:
            self._logits_type = _array_type(tensor)
        dtype, row = self._logits_type
        data = c_void_p()
        _call("OgaTensorGetData", tensor, byref(data))
        return numpy.frombuffer(row.from_address(data.value or 0), dtype).astype(numpy.float32, copy=False)

    def close(self) -> None:
        """Free the cache; a second call does nothing."""
        with self._closing:
            if self._handle:
                _library().OgaDestroyGenerator(self._handle)
                self._handle = c_void_p()


def version() -> str:
    """Of the installed package."""
    import onnxruntime_genai

    return str(onnxruntime_genai.__version__)


def _array_type(tensor: c_void_p) -> tuple[numpy.dtype[Any], type[ctypes.Array[ctypes.c_char]]]:
    """Type of a tensor's numbers, and that of its memory: (batch, tokens, vocabulary), of which the first two are 1."""
    import numpy

    rank, code = c_size_t(), c_int()
    _call("OgaTensorGetShapeRank", tensor, byref(rank))
    shape = (c_int64 * rank.value)()
    _call("OgaTensorGetShape", tensor, shape, rank)
    _call("OgaTensorGetType", tensor, byref(code))
    dtype = numpy.dtype(_DTYPES[code.value])
    return dtype, ctypes.c_char * (shape[-1] * dtype.itemsize)


def _new(function: str, *arguments: Any) -> c_void_p:
    """What a function makes; it writes its address through its last argument."""
    made = c_void_p()
    _call(function, *arguments, byref(made))
    return made


def _call(function: str, *arguments: Any) -> None:
    lib = _library()
    result = getattr(lib, function)(*arguments)
    if result:
        said = (lib.OgaResultGetError(result) or b"it gives no reason").decode("utf-8", "replace")
        lib.OgaDestroyResult(result)
        raise Terminated(said) if any(words in said for words in _TERMINATED) else RuntimeError(said)


@functools.cache
def _library() -> Any:
    # The package finds and loads the ONNX Runtime that the library needs.
    import onnxruntime_genai

    name = _LIBRARY_NAMES.get(sys.platform, "libonnxruntime-genai.so")
    lib = ctypes.CDLL(os.fspath(Path(onnxruntime_genai.__file__).with_name(name)))
    for function, arguments in _SIGNATURES.items():
        declared = getattr(lib, function)
        declared.restype, declared.argtypes = c_void_p, arguments
    for function in _DESTROYERS:
        declared = getattr(lib, function)
        declared.restype, declared.argtypes = None, [c_void_p]
    lib.OgaResultGetError.restype, lib.OgaResultGetError.argtypes = c_char_p, [c_void_p]
    return lib
