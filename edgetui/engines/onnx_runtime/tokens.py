"""The tokenizer beside an ONNX graph, read by the package `tokenizers`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from edgetui.core.failures import EdgetuiError
from edgetui.engines.onnx_runtime.beside import beside
from edgetui.engines.onnx_runtime.failures import reason

if TYPE_CHECKING:
    from pathlib import Path


def read_tokenizer(path: Path) -> Any:
    """The `tokenizers.Tokenizer` of the graph at `path`, which neither cuts nor fills up texts.

    Raises `EdgetuiError`: `not_found`, `bad_file`.
    """
    from tokenizers import Tokenizer

    file = beside(path, "tokenizer.json")
    if file is None:
        raise EdgetuiError(
            "not_found",
            f"{path.name} has no tokenizer.json beside it, so no text can be given to it: copy the one of its source"
            " there.",
        )
    try:
        tokenizer = Tokenizer.from_file(os.fspath(file))
    except Exception as error:
        # The package raises a bare Exception.
        raise EdgetuiError(
            "bad_file", f"The tokenizer {file} cannot be read ({reason(error)}): fetch it again."
        ) from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
