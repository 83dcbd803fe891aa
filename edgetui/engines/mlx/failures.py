"""What mlx and mlx-lm raise, in one sentence each."""

from __future__ import annotations

import re
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING

from edgetui.core.failures import EdgetuiError
from edgetui.core.plain_text import plain_line
from edgetui.engines.resource_failures import resource_failure

if TYPE_CHECKING:
    from collections.abc import Iterator

_UNKNOWN = re.compile(r"Model type (.+) not supported")
_MEMORY = re.compile(r"[Uu]nable to allocate|bad_alloc|maximum allowed buffer size|Insufficient Memory")
_SPACE = re.compile(r"No space left|[Dd]isk quota|File too large|Failed to write|\[write\]")
_MISFIT = re.compile(r"Received \d+ parameters not in model|Missing \d+ parameters|Expected shape|parameters not in")


@contextmanager
def told(name: str, doing: str) -> Iterator[None]:
    """Turn whatever mlx raises inside into an `EdgetuiError` about the model `name`.

    `doing` says what was being done, such as `Quantizing`. What is an `EdgetuiError` already passes.
    """
    try:
        yield
    except EdgetuiError:
        raise
    except Exception as error:
        # mlx raises RuntimeError and ValueError for everything: what it says is what tells them apart.
        raise _sentence(error, name, doing) from error


def _sentence(error: Exception, name: str, doing: str) -> EdgetuiError:
    said, detail = str(error), traceback.format_exc()
    if isinstance(error, ImportError):
        return EdgetuiError(
            "engine_missing",
            f"MLX does not load here ({_first_line(error)}): install it anew with"
            " `edgetui toolchain install mlx --again`.",
            detail,
        )
    if short := resource_failure(error, name, doing, detail, memory=_MEMORY, space=_SPACE):
        return short
    if match := _UNKNOWN.search(said):
        return EdgetuiError(
            "unsupported",
            f"mlx-lm does not know the architecture {plain_line(match[1])} of {name}: take another model, or another"
            " toolchain for this one.",
            detail,
        )
    if _MISFIT.search(said):
        return EdgetuiError(
            "bad_file",
            f"The weights of {name} are not those that its config.json describes: get both from the same place again.",
            detail,
        )
    return EdgetuiError(
        "unsupported", f"{doing} {name} with MLX failed ({_first_line(error)}): the log has its own words.", detail
    )


def _first_line(error: Exception) -> str:
    """The beginning of what it says, without paths."""
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    if isinstance(error, KeyError):
        first = f"{first} is missing"
    return plain_line(re.sub(r"(/[^\s/:'\"]+)+/", "", first)).strip(" .:")[:160]
