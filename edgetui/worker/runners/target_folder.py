"""The folder that a job's result goes to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetui.core.failures import EdgetuiError

if TYPE_CHECKING:
    from pathlib import Path


def make_folder(folder: Path) -> None:
    """Make it where it is not there; raises `EdgetuiError("no_permission")`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EdgetuiError(
            "no_permission", f"The folder {folder} cannot be made ({error.strerror}): name another folder."
        ) from error
