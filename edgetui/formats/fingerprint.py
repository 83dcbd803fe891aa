"""A mark by which a model's content is known again wherever it lies, without reading all of it."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from edgetui.core.failures import EdgetuiError
from edgetui.formats.regular_file import open_regular

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_BLOCK_BYTES = 16 * 1024
_BLOCKS = 8


def fingerprint(parts: Sequence[Path]) -> str:
    """SHA-256 over the sizes of a model's files and eight blocks of 16 KiB spread over each, in hexadecimal digits.

    Files with another fingerprint differ. The same fingerprint means the same content for all but files that were made
    to deceive; only a hash over everything proves it. Raises `EdgetuiError("bad_file")`.
    """
    digest = hashlib.sha256()
    for path in parts:
        try:
            with open_regular(path) as stream:
                size = os.fstat(stream.fileno()).st_size
                digest.update(b"%d\n" % size)
                last = max(0, size - _BLOCK_BYTES)
                for place in range(_BLOCKS):
                    stream.seek(last * place // (_BLOCKS - 1))
                    digest.update(stream.read(_BLOCK_BYTES))
        except OSError as error:
            raise EdgetuiError("bad_file", f"{path.name} cannot be read to its end ({error.strerror}).") from error
    return digest.hexdigest()
