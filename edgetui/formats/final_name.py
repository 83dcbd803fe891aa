"""Giving a file its final name only when it is complete, and never in place of another."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from edgetui.core.failures import EdgetuiError

if TYPE_CHECKING:
    from pathlib import Path


def take_name(partial: Path, target: Path) -> None:
    """Put a complete file on disk and under its name, at once.

    Raises `EdgetuiError("exists")` where the name is taken, and OSError as the disk does.
    """
    with partial.open("rb") as stream:
        os.fsync(stream.fileno())
    try:
        os.link(partial, target)
    except FileExistsError:
        refuse_existing(target)
    except OSError:
        # A file system without hard links: reserve the name, then put the file there.
        _reserve(target)
        os.replace(partial, target)
    else:
        partial.unlink()
    with suppress(OSError):
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _reserve(target: Path) -> None:
    try:
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    except FileExistsError:
        refuse_existing(target)


def refuse_existing(target: Path) -> None:
    """Raises `EdgetuiError("exists")` where the name is taken."""
    if os.path.lexists(target):
        raise EdgetuiError("exists", f"{target} is already there: remove it, or take another name.")
