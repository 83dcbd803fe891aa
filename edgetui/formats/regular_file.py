"""Opening a model's file without being held up by what only looks like one."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, BinaryIO

from edgetui.core.failures import EdgetuiError

if TYPE_CHECKING:
    from pathlib import Path

_KINDS = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket"}


def open_regular(path: Path) -> BinaryIO:
    """Open for reading; raises `EdgetuiError("bad_file")` for a pipe, a device or a folder, and OSError as `open`.

    A plain `open` of a named pipe waits for its writer, for ever if need be.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        kind = _KINDS.get(stat.S_IFMT(mode), "a device")
        raise EdgetuiError("bad_file", f"{path} is {kind}, not a file: choose a file.")
    return os.fdopen(descriptor, "rb")
