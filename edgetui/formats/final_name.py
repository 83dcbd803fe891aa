"""Giving a file or folder its final name only when it is complete, and never in place of another."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from edgetui.core.failures import EdgetuiError

if TYPE_CHECKING:
    from pathlib import Path


def take_name(partial: Path, target: Path) -> None:
    """Put a complete file, or a folder with all its files, on disk and under its name, at once.

    Raises `EdgetuiError("exists")` where the name is taken, and OSError as the disk does.
    """
    if partial.is_dir():
        _take_folder_name(partial, target)
    else:
        _take_file_name(partial, target)
    with suppress(OSError):
        _put_on_disk(target.parent)


def _take_file_name(partial: Path, target: Path) -> None:
    _put_on_disk(partial)
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


def _take_folder_name(partial: Path, target: Path) -> None:
    for path in (*partial.rglob("*"), partial):
        if not path.is_symlink():
            _put_on_disk(path)
    # A rename would replace an empty folder, and a folder that is there is taken, empty or not.
    try:
        target.mkdir()
    except FileExistsError:
        refuse_existing(target)
    os.rename(partial, target)


def _put_on_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _reserve(target: Path) -> None:
    try:
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    except FileExistsError:
        refuse_existing(target)


def refuse_existing(target: Path) -> None:
    """Raises `EdgetuiError("exists")` where the name is taken."""
    if os.path.lexists(target):
        raise EdgetuiError("exists", f"{target} is already there: remove it, or take another name.")
