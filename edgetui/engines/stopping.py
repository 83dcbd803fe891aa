"""A flag that another thread sets to stop native code, readable from C without Python."""

from __future__ import annotations

import ctypes
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class StopFlag:
    """Set from any thread; native code polls it through `native_callback` and `native_data`.

    ggml calls its abort callback for every node of every graph, about a thousand times a token. A Python
    callback there costs a tenth of the token rate, so the callback is the C library's `strlen` over this
    flag's own bytes: an empty string gives 0 (go on), one character gives 1 (abort).
    """

    def __init__(self) -> None:
        self._text = ctypes.create_string_buffer(2)
        self._lock = threading.Lock()
        self._tells: list[Callable[[], None]] = []
        self.is_set = False
        """Whether stopping was asked for; for reading only."""

    def set(self) -> None:
        """Ask whatever polls this flag to stop, and tell what is to be told."""
        with self._lock:
            # First, so that whoever sees that native code was aborted sees why.
            self.is_set = True
            self._text[0] = b"x"
            for tell in self._tells:
                tell()

    @contextmanager
    def telling(self, tell: Callable[[], None]) -> Iterator[None]:
        """Call `tell` when this is set, from the thread that does it, as long as the block lasts; at once if it is set.

        For native code that polls nothing: a thread of ours that polled for it would take its processor at each look.
        """
        with self._lock:
            if self.is_set:
                tell()
            self._tells.append(tell)
        try:
            yield
        finally:
            with self._lock:
                self._tells.remove(tell)

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
