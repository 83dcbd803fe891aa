"""A model's card made safe and honest to show: links say where they lead, nothing hides in HTML."""

from __future__ import annotations

import re

_HTML = re.compile(r"<!--.*?-->|</?[A-Za-z][^<>]*>", re.DOTALL)
_IMAGE = re.compile(r"!\[([^\]\n]*)\]\([^)\n]*\)")
_LINK = re.compile(r"(?<!!)\[([^\]\n]*)\]\((\S+?)(?:\s+\"[^\"\n]*\")?\)")
_LINK_OF_REFERENCE = re.compile(r"\[([^\]\n]+)\]\[[^\]\n]*\]")


MOST_CHARACTERS = 40_000
"""Longer cards are cut: they would hold up the screen."""


def honest_card(markdown: str) -> str:
    """Markdown without HTML and pictures, every link's address written out beside its words."""
    if len(markdown) > MOST_CHARACTERS:
        markdown = markdown[:MOST_CHARACTERS] + "\n\n*The card is longer than is shown here.*"
    text = _HTML.sub("", markdown)
    text = _IMAGE.sub(lambda match: match[1], text)
    text = _LINK.sub(_with_address, text)
    return _LINK_OF_REFERENCE.sub(lambda match: match[1], text)


def _with_address(match: re.Match[str]) -> str:
    words, address = match[1].strip(), match[2]
    # Code: then nothing makes a link of it again.
    return f"`{address}`" if words == address or not words else f"{words} (`{address}`)"
