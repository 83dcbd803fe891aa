"""A flag that another thread sets to stop native code, readable from C without Python."""

from __future__ import annotations

import ctypes
from typing import Any


class StopFlag:
    """Set from any thread; native code polls it through `native_callback` and `native_data`.

    ggml calls its abort callback for every node of every graph, about a thousand times a token. A Python
    callback there costs a tenth of the token rate, so the callback is the C library's `strlen` over this
    flag's own bytes: an empty string gives 0 (go on), one character gives 1 (abort).
    """

    def __init__(self) -> None:
        self._text = ctypes.create_string_buffer(2)

    def set(self) -> None:
        """Ask whatever polls this flag to stop."""
        self._text[0] = b"x"

    @property
    def is_set(self) -> bool:
        """Whether stopping was asked for."""
        return self._text[0] != b"\0"

    @property
    def native_callback(self) -> int:
        """Address of a C function that takes `native_data` and returns whether to abort."""
        return _strlen_address()

    @property
    def native_data(self) -> int:
        """Address to hand to `native_callback`; valid as long as this object lives."""
        return ctypes.addressof(self._text)


def _strlen_address() -> int:
    library: Any = ctypes.CDLL("msvcrt") if hasattr(ctypes, "WinDLL") else ctypes.CDLL(None)
    return ctypes.cast(library.strlen, ctypes.c_void_p).value or 0
