"""A model's card made safe and honest to show: links say where they lead, nothing hides in HTML."""

from __future__ import annotations

import re

# Bounded, and no bracket within brackets: otherwise a card made of them alone would take minutes.
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,2000}>", re.DOTALL)
_IMAGE = re.compile(r"!\[([^\[\]\n]{0,300})\]\([^()\n]{0,500}\)")
_LINK = re.compile(r"(?<!!)\[([^\[\]\n]{0,300})\]\(([^\s\[\]]{1,500}?)(?:\s{1,9}\"[^\"\n]{0,300}\")?\)")
_LINK_OF_REFERENCE = re.compile(r"\[([^\[\]\n]{1,300})\]\[[^\[\]\n]{0,300}\]")


MOST_CHARACTERS = 40_000
"""Longer cards are cut: they would hold up the screen."""


def honest_card(markdown: str) -> str:
    """Markdown without HTML and pictures, every link's address written out beside its words."""
    if len(markdown) > MOST_CHARACTERS:
        markdown = markdown[:MOST_CHARACTERS] + "\n\n*The card is longer than is shown here.*"
    text = _TAG.sub("", _without_comments(markdown))
    text = _IMAGE.sub(lambda match: match[1], text)
    text = _LINK.sub(_with_address, text)
    return _LINK_OF_REFERENCE.sub(lambda match: match[1], text)


def _without_comments(text: str) -> str:
    kept = []
    while True:
        before, begin, rest = text.partition("<!--")
        kept.append(before)
        _, end, after = rest.partition("-->")
        if not end:
            return "".join([*kept, begin, rest])
        text = after


def _with_address(match: re.Match[str]) -> str:
    words, address = match[1].strip(), match[2]
    # Code: then nothing makes a link of it again.
    return f"`{address}`" if words == address or not words else f"{words} (`{address}`)"
