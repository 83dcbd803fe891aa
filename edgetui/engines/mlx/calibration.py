"""Calibration data from a local text, in place of what mlx-lm would fetch: samples of tokens, spread over the text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgetui.core.failures import EdgetuiError
from edgetui.core.plain_text import plain_line
from edgetui.core.quality import EMBEDDED_TEXT
from edgetui.engines.mlx.tokens import Tokens
from edgetui.formats.text_file import read_text

if TYPE_CHECKING:
    from edgetui.engines.mlx.folder import Loaded


def samples(loaded: Loaded, data: str, count: int, tokens: int) -> Any:
    """An mlx array of (count, tokens) token ids, evenly spread over the text, none overlapping.

    Raises `EdgetuiError`: `bad_request` for a text too short, `not_found`, `bad_file`.
    """
    import mlx.core as mx

    ids = Tokens(loaded.folder, loaded.config).encode(_text(data), add_special=False)
    whole = len(ids) // tokens
    if whole < count:
        raise EdgetuiError(
            "bad_request",
            f"{count} samples of {tokens} tokens need a text of {count * tokens}, and this one has {len(ids)}: take a"
            " longer text, or fewer or shorter samples.",
        )
    starts = [number * whole // count * tokens for number in range(count)]
    return mx.array([ids[start : start + tokens] for start in starts])


def _text(data: str) -> str:
    if data == EMBEDDED_TEXT:
        from pydoc_data.topics import topics

        return "\n\n".join(topics[name] for name in sorted(topics))
    path = Path(data).expanduser()
    if not path.is_absolute():
        raise EdgetuiError("bad_request", f"Name the calibration text by its whole path, not by {plain_line(data)}.")
    return read_text(path)
