"""A text to measure over: a UTF-8 file, read whole."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from edgetui.core.failures import EdgetuiError
from edgetui.core.units import format_bytes
from edgetui.formats.regular_file import open_regular

if TYPE_CHECKING:
    from pathlib import Path

MOST_BYTES = 64 * 1024**2
"""Tokenizers take many times a text's size; WikiText-2's test part has 1.3 MB."""


def read_text(path: Path) -> str:
    """The text as it stands, without the line end that llama-perplexity drops from its end too.

    Raises `EdgetuiError`: `not_found`, `bad_file`, `bad_request` for an empty one, `no_permission`.
    """
    try:
        with open_regular(path) as stream:
            if os.fstat(stream.fileno()).st_size > MOST_BYTES:
                raise EdgetuiError(
                    "bad_request",
                    f"{path.name} is larger than {format_bytes(MOST_BYTES)}: a part of it measures as well.",
                )
            raw = stream.read()
    except FileNotFoundError as error:
        raise EdgetuiError("not_found", f"There is no text {path}: name a UTF-8 file, topics or wikitext-2.") from error
    except OSError as error:
        raise EdgetuiError("no_permission", f"The text {path} cannot be read ({error.strerror}).") from error
    return decode_text(raw, path.name)


def decode_text(raw: bytes, name: str) -> str:
    """The same of bytes; `name` is what messages call them."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise EdgetuiError(
            "bad_file", f"{name} is not UTF-8 text (byte {error.start}): save it as UTF-8 first."
        ) from error
    if not text.strip():
        raise EdgetuiError("bad_request", f"{name} is empty: take a text that has at least a chunk of tokens.")
    return text.removesuffix("\n")
