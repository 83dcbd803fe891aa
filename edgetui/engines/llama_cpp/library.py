"""Loading the native library once a process, routing its log, and telling what it is."""

from __future__ import annotations

import ctypes
import sys
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from typing import TYPE_CHECKING, Any

from edgetui.core.failures import EdgetuiError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edgetui.worker.protocol import EngineInfo

INSTALL_HINT = "install it with: pip install llama-cpp-python"

_DEBUG = 1
"""`GGML_LOG_LEVEL_DEBUG`: thousands of lines a load that nobody reads."""
_CONTINUED = 5
"""`GGML_LOG_LEVEL_CONT`: the level of the piece before."""

_module: Any = None
_listeners: list[Callable[[str], None]] = []


def load() -> Any:
    """The `llama_cpp.llama_cpp` module, its backend initialised and its log on our stderr.

    Raises `EdgetuiError("engine_missing")` when the package is absent or its library does not load.
    """
    global _module
    if _module is None:
        try:
            module = _import_binding()
        except ImportError as error:
            raise EdgetuiError("engine_missing", f"llama-cpp-python is not installed; {INSTALL_HINT}.") from error
        except (OSError, RuntimeError) as error:
            raise EdgetuiError(
                "engine_missing",
                "llama.cpp's library does not load on this machine; reinstall llama-cpp-python from source.",
                detail=str(error),
            ) from error
        module.llama_log_set(_log_callback(module), ctypes.c_void_p(0))
        module.llama_backend_init()
        _module = module
    return _module


def _import_binding() -> Any:
    """The binding without what else the package imports by itself.

    Its `__init__` brings a high-level API and a template engine along, which take longer than the library itself.
    """
    if "llama_cpp" in sys.modules:
        return import_module("llama_cpp.llama_cpp")
    spec = find_spec("llama_cpp")
    if spec is None:
        raise ImportError("there is no package llama_cpp")
    sys.modules["llama_cpp"] = module_from_spec(spec)
    try:
        return import_module("llama_cpp.llama_cpp")
    except BaseException:
        del sys.modules["llama_cpp"]
        raise


@contextmanager
def capture_log(listener: Callable[[str], None]) -> Iterator[None]:
    """Hand every piece the library logs meanwhile to `listener` too; a piece need not be a whole line."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def version() -> str:
    """llama-cpp-python's version."""
    from importlib.metadata import version as package_version

    return package_version("llama-cpp-python")


def describe() -> EngineInfo:
    """What the installed library is, and what it was built with."""
    from edgetui.engines.llama_cpp.quant_types import known_types
    from edgetui.worker.protocol import EngineInfo

    lib = load()
    return EngineInfo(
        name="llama.cpp",
        version=version(),
        build=lib.llama_version().decode("utf-8", "replace"),
        system_info=lib.llama_print_system_info().decode("utf-8", "replace").strip(" |"),
        devices=_devices(),
        supports_gpu_offload=bool(lib.llama_supports_gpu_offload()),
        supports_mmap=bool(lib.llama_supports_mmap()),
        supports_mlock=bool(lib.llama_supports_mlock()),
        quant_types=tuple(known_types()),
    )


def backend() -> str:
    """What computes when nothing else is asked for: the accelerators of all compiled-in backends, else `CPU`."""
    names = [device.split(":")[0] for device in _devices()]
    return ",".join(name for name in names if name != "CPU") or "CPU"


def _devices() -> tuple[str, ...]:
    """Names and descriptions of the compute devices of every backend that is compiled in."""
    import llama_cpp._ggml as binding

    ggml = binding.libggml
    ggml.ggml_backend_dev_count.restype = ctypes.c_size_t
    ggml.ggml_backend_dev_get.argtypes = [ctypes.c_size_t]
    ggml.ggml_backend_dev_get.restype = ctypes.c_void_p
    for function in (ggml.ggml_backend_dev_name, ggml.ggml_backend_dev_description):
        function.argtypes = [ctypes.c_void_p]
        function.restype = ctypes.c_char_p
    found = []
    for index in range(ggml.ggml_backend_dev_count()):
        device = ggml.ggml_backend_dev_get(index)
        name = ggml.ggml_backend_dev_name(device).decode("utf-8", "replace")
        description = ggml.ggml_backend_dev_description(device).decode("utf-8", "replace")
        found.append(f"{name}: {description}")
    return tuple(found)


def _log_callback(module: Any) -> Any:
    level = _DEBUG

    def write(of: int, text: bytes, _data: object) -> None:
        nonlocal level
        level = level if of == _CONTINUED else of
        if level <= _DEBUG:
            return
        piece = text.decode("utf-8", "replace")
        for listener in list(_listeners):
            listener(piece)
        # The log may stand on the very disk that a quantization is filling.
        with suppress(OSError):
            sys.stderr.write(piece)
            sys.stderr.flush()

    callback = module.llama_log_callback(write)
    # The library keeps only the address.
    _keep_alive.append(callback)
    return callback


_keep_alive: list[Any] = []
