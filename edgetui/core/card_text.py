"""A model's card made safe and honest to show: links say where they lead, nothing hides in HTML."""

from __future__ import annotations

import re

_HTML = re.compile(r"<!--.*?-->|</?[A-Za-z][^<>]*>", re.DOTALL)
_IMAGE = re.compile(r"!\[([^\]\n]*)\]\([^)\n]*\)")
_LINK = re.compile(r"(?<!!)\[([^\]\n]*)\]\((\S+?)(?:\s+\"[^\"\n]*\")?\)")
_LINK_OF_REFERENCE = re.compile(r"\[([^\]\n]+)\]\[[^\]\n]*\]")


def honest_card(markdown: str) -> str:
    """Markdown without HTML and pictures, every link's address written out beside its words."""
    text = _HTML.sub("", markdown)
    text = _IMAGE.sub(lambda match: match[1], text)
    text = _LINK.sub(_with_address, text)
    return _LINK_OF_REFERENCE.sub(lambda match: match[1], text)


def _with_address(match: re.Match[str]) -> str:
    words, address = match[1].strip(), match[2]
    # Code: then nothing makes a link of it again.
    return f"`{address}`" if words == address or not words else f"{words} (`{address}`)"
