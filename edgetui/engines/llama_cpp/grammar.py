"""Grammars that an answer must follow: GBNF, or a JSON schema turned into it."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

from edgetui.core.failures import EdgetuiError
from edgetui.core.run_field_text import require_json
from edgetui.engines.llama_cpp import library

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgetui.core.run_settings import SamplingSettings

MOST_BYTES = 128 * 1024
"""llama.cpp follows rules by recursion: very long chains of them would overflow its stack and end the process."""
MOST_NESTED = 200
"""Parentheses within parentheses, for the same reason."""


def gbnf_of(settings: SamplingSettings) -> str:
    """The grammar that the settings ask for, empty for none; raises `EdgetuiError("bad_request")`."""
    if settings.grammar and settings.json_schema:
        raise EdgetuiError("bad_request", "An answer follows a grammar or a JSON schema, not both: take one out.")
    if settings.json_schema:
        return _of_schema(settings.json_schema)
    return settings.grammar


def grammar_sampler(lib: Any, vocab: Any, gbnf: str) -> Any:
    """llama.cpp's native sampler for a grammar; raises `EdgetuiError("bad_request")` for one that does not parse."""
    if len(gbnf.encode("utf-8", "replace")) > MOST_BYTES or _nesting(gbnf) > MOST_NESTED:
        raise EdgetuiError(
            "bad_request",
            f"The grammar is too large: at most {MOST_BYTES // 1024} KiB and {MOST_NESTED} parentheses within each"
            " other can be followed.",
        )
    said: list[str] = []
    with _native_stderr(said), library.capture_log(said.append):
        sampler = lib.llama_sampler_init_grammar(vocab, gbnf.replace("\0", " ").encode("utf-8", "replace"), b"root")
    if not sampler:
        raise EdgetuiError("bad_request", f"The grammar cannot be used ({_reason(''.join(said))}): correct it.")
    return sampler


def _of_schema(schema: str) -> str:
    require_json(schema)
    converter = import_module("llama_cpp.llama_grammar")
    try:
        return str(converter.json_schema_to_gbnf(schema))
    except Exception as error:
        # The converter asserts, indexes and raises whatever it likes on what it does not know.
        words = " ".join(str(error).split())[:120] or type(error).__name__
        raise EdgetuiError(
            "bad_request", f"The JSON schema cannot be turned into a grammar ({words}): simplify it."
        ) from error


def _nesting(gbnf: str) -> int:
    deepest = depth = 0
    for character in gbnf:
        if character == "(":
            depth += 1
            deepest = max(deepest, depth)
        elif character == ")":
            depth -= 1
    return deepest


@contextmanager
def _native_stderr(said: list[str]) -> Iterator[None]:
    """Collect what native code prints to descriptor 2, which is where the parser says what it did not understand."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as stream:
        os.dup2(stream.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            stream.seek(0)
            said.append(stream.read(4096).decode("utf-8", "replace"))


def _reason(said: str) -> str:
    if found := re.search(r"error parsing grammar: ([^\n]*)", said):
        words = "".join(character for character in found[1] if character.isprintable())
        return words if len(words) <= 100 else f"{words[:100]}..."
    if "left recursion" in said:
        return "a rule begins with itself"
    if "does not contain" in said:
        return "it has no rule named root"
    return "llama.cpp gives no reason"
