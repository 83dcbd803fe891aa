"""Writing text into a file that is not there yet."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from edgetui.core.failures import EdgetuiError

if TYPE_CHECKING:
    from pathlib import Path


def write_new(path: Path, text: str) -> Path:
    """Write `text`, never over another file and whole or not at all; gives the file's path.

    Raises `EdgetuiError`: `exists`, `no_permission`, `no_space`.
    """
    path = path.expanduser().absolute()
    made = False
    try:
        with path.open("x", encoding="utf-8", errors="surrogateescape", newline="\n") as stream:
            made = True
            stream.write(text)
    except FileExistsError as error:
        raise EdgetuiError("exists", f"{path} is already there: remove it or name another file.") from error
    except OSError as error:
        if made:
            path.unlink(missing_ok=True)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise EdgetuiError("no_space", f"The disk of {path} is full: free some space and try again.") from error
        raise EdgetuiError(
            "no_permission", f"{path} cannot be written ({error.strerror}): name another file."
        ) from error
    return path
