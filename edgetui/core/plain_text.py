"""Text from outside (models, files, logs) made safe to show: nothing in it acts on the terminal."""

from __future__ import annotations

import re

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb]"
)
_CONTROL_PICTURES = 0x2400


def plain_text(text: str) -> str:
    """`text` with newlines and tabs kept, other controls as visible characters, and invisible marks gone.

    Works character by character, so that the parts of a stream give the same as the whole.
    """
    return _UNSAFE.sub(_shown, text)


def plain_line(text: str) -> str:
    """`plain_text` on one line: newlines and tabs become spaces."""
    return plain_text(text).replace("\n", " ").replace("\t", " ")


def _shown(match: re.Match[str]) -> str:
    char = match[0]
    code = ord(char)
    if char in "\x85\u2028\u2029":
        return "\n"
    if char == "\r" or char in "\xad\u061c\u200b\u200e\u200f\ufeff" or 0x2060 <= code <= 0x2065:
        return ""
    if code < 0x20:
        return chr(_CONTROL_PICTURES + code)
    if code == 0x7F:
        return "\N{SYMBOL FOR DELETE}"
    # What is left turns the direction of text around, or is no character at all.
    return REPLACEMENT
