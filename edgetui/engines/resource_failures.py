"""What every native runtime can run out of, in one sentence each: memory, numbers, disk."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from edgetui.core.failures import EdgetuiError

if TYPE_CHECKING:
    import re


def resource_failure(
    error: Exception, name: str, doing: str, detail: str, *, memory: re.Pattern[str], space: re.Pattern[str]
) -> EdgetuiError | None:
    """The sentence about the model `name`; None for anything else.

    `doing` says what was being done, such as `Quantizing`; `memory` and `space` are how the runtime's words tell that
    either is short.
    """
    said = str(error)
    if isinstance(error, MemoryError) or memory.search(said):
        return EdgetuiError(
            "out_of_memory",
            f"{doing} {name} needs more memory than is free: close something, or take a smaller model.",
            detail,
        )
    if isinstance(error, FloatingPointError):
        return EdgetuiError(
            "bad_file", f"What {name} computes is no number: its weights are damaged, or overflow.", detail
        )
    if (isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)) or space.search(said):
        return EdgetuiError(
            "no_space", f"{doing} {name} has no room left on the disk: free some space or name another folder.", detail
        )
    return None
