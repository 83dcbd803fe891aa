"""A machine in Markdown for a bug tracker, without what tells one person's machine from another's."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from edgetui.core.plain_text import plain_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

LEFT_OUT = "(left out)"
_PATTERNS = (
    # MAC addresses, UUIDs, IPv4 addresses, world-wide names.
    (re.compile(r"\b[0-9A-Fa-f]{2}(?:[:_-][0-9A-Fa-f]{2}){5}\b"), LEFT_OUT),
    (re.compile(r"\b[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}\b"), LEFT_OUT),
    (re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}\b(?!\.)"), LEFT_OUT),
    # What follows a folder of users names one.
    (re.compile(r"(?<![\w/])/(?:home|Users|var/home)/[^/\s:,;()]+"), "~"),
    # Removable media are mounted under the user's name and the label that somebody gave them.
    (re.compile(r"(?<![\w/])(/run)?/media/[^:,;()]+"), f"/media/{LEFT_OUT}"),
    (re.compile(r"(?<![\w/])/Volumes/[^:,;()]+"), f"/Volumes/{LEFT_OUT}"),
)
_SHORTEST_SECRET = 2
_COMMON = {"none", "default", "unknown", "localhost", "root", "0", "not specified", "to be filled by o.e.m."}
"""What stands in the place of a serial number or a name where nobody set one."""


def redact(text: str, private: Iterable[str]) -> str:
    """`text` without the words in `private`, and without addresses and paths that name a person."""
    for pattern, instead in _PATTERNS:
        text = pattern.sub(instead, text)
    for word in sorted(set(private), key=len, reverse=True):
        if len(word) >= _SHORTEST_SECRET and word.strip("()").lower() not in _COMMON and not word.isspace():
            # As a word of its own: the user `pi` is no part of `pipeline`.
            text = re.sub(rf"(?<![A-Za-z0-9]){re.escape(word)}(?![A-Za-z0-9])", LEFT_OUT, text)
    return text


def markdown(title: str, facts: Sequence[tuple[str, str]], private: Iterable[str]) -> str:
    """A table of labels and texts; a fact without a label continues the one before."""
    rows: list[tuple[str, list[str]]] = []
    words = tuple(private)
    for label, text in facts:
        cell = _cell(redact(plain_line(text), words))
        if label or not rows:
            rows.append((label, [cell]))
        else:
            rows[-1][1].append(cell)
    lines = [f"## {title}", "", "| what | found |", "|---|---|"]
    lines += [f"| {label} | {'<br>'.join(cells)} |" for label, cells in rows]
    return "\n".join(lines)


def _cell(text: str) -> str:
    """Nothing in a device's name may be taken for Markdown or HTML."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    # An underscore inside a word is only an underscore.
    return re.sub(r"([\\`*\[\]|~#!@]|\b_|_\b)", r"\\\1", text)
