"""What llama.cpp's log says of a model or a context that it refused, in one sentence each."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from edgetui.core.failures import EdgetuiError
from edgetui.engines.llama_cpp import library

if TYPE_CHECKING:
    from pathlib import Path

    from edgetui.core.run_settings import LoadSettings


def load_failure(path: Path, log: str) -> EdgetuiError:
    """Why a model was not loaded."""
    architecture = re.search(r"unknown model architecture: '([^']*)'", log)
    if architecture:
        return EdgetuiError(
            "unsupported",
            f"{path.name} has the architecture {_printable(architecture[1])}, which the installed llama.cpp"
            f" ({library.version()}) does not know: update llama-cpp-python or take another model.",
            detail=log,
        )
    if re.search(r"(failed|unable) to allocate|bad_alloc", log):
        return EdgetuiError(
            "out_of_memory",
            f"{path.name} does not fit into this machine's memory: take a smaller type of it or a smaller model.",
            detail=log,
        )
    return EdgetuiError(
        "bad_file",
        f"llama.cpp cannot load {path.name} ({_reason(log)}): the file is damaged or not a language model.",
        detail=log,
    )


def context_failure(path: Path, settings: LoadSettings, context_tokens: int, log: str) -> EdgetuiError:
    """Why no context was made."""
    if re.search(r"(failed|unable) to allocate|bad_alloc", log):
        return EdgetuiError(
            "out_of_memory",
            f"A context of {context_tokens} tokens for {path.name} does not fit into this machine's memory:"
            " take a smaller context or a smaller KV-cache type.",
            detail=log,
        )
    return EdgetuiError(
        "unsupported",
        f"llama.cpp makes no context of {context_tokens} tokens with a {settings.kv_cache_type} KV cache for"
        f" {path.name} ({_reason(log)}): change these settings.",
        detail=log,
    )


def _reason(log: str) -> str:
    """The log's own words for the fault: its first line that speaks of one, without function names."""
    for line in log.splitlines():
        if re.search(r"error|fail|invalid|unsupported|requires|missing|not found|wrong", line, re.IGNORECASE):
            words = re.sub(r"^\s*(\w+: )+", "", line).strip(" .")
            return _printable(words)[:160]
    return "it gives no reason"


def _printable(text: str) -> str:
    """Text out of a file, without control characters."""
    return "".join(character if character.isprintable() else "?" for character in text)
