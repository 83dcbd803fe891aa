"""Markdown as models write it, from a seed: headings, prose with emphasis, lists, code, tables, a quote."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_SENTENCE = (
    "the keeper walks along a narrow path and counts every lamp that burns above sea level while rain falls on"
    " tin roofs where nobody sleeps because most ships pass before morning with their engines slow quiet"
)
_WORDS = _SENTENCE.split()
_CODE = (
    "def lamp(height: float, flashes: int = 3) -> str:",
    '    """One line of the log."""',
    "    for number in range(flashes):",
    '        print(f"flash {number} at {height:.1f} m")',
    '    return "dark again"  # until the next hour',
)
_CHARACTERS_A_TOKEN = 4


def pieces(tokens: int, seed: int = 0) -> Iterator[str]:
    """So many pieces of text of a token's length."""
    chance = random.Random(seed)
    pending = ""
    for _ in range(tokens):
        while len(pending) < 2 * _CHARACTERS_A_TOKEN:
            pending += _block(chance)
        cut = min(_CHARACTERS_A_TOKEN + chance.choice((-1, 0, 0, 1)), len(pending))
        yield pending[:cut]
        pending = pending[cut:]


def _block(chance: random.Random) -> str:
    kind = chance.choice(("heading", "prose", "prose", "prose", "list", "steps", "code", "table", "quote"))
    if kind == "heading":
        return f"{'#' * chance.randint(2, 3)} {_sentence(chance, 4).title()}\n\n"
    if kind in ("list", "steps"):
        marks = [f"{number}." if kind == "steps" else "-" for number in range(1, chance.randint(4, 7))]
        return "".join(f"{mark} **{chance.choice(_WORDS)}**: {_prose(chance, 1)}\n" for mark in marks) + "\n"
    if kind == "code":
        return "```python\n" + "\n".join(_CODE[: chance.randint(3, 5)]) + "\n```\n\n"
    if kind == "table":
        head = "| Lamp | Height | State |\n|:-----|-------:|-------|\n"
        for _ in range(4):
            head += f"| {chance.choice(_WORDS)} | {chance.randint(2, 90)} m | `{chance.choice(_WORDS)}` |\n"
        return head + "\n"
    return ("> " if kind == "quote" else "") + _prose(chance, chance.randint(2, 4)) + "\n\n"


def _prose(chance: random.Random, sentences: int) -> str:
    return " ".join(_sentence(chance, chance.randint(6, 16)).capitalize() + "." for _ in range(sentences))


def _sentence(chance: random.Random, words: int) -> str:
    said = [chance.choice(_WORDS) for _ in range(words)]
    for sign in ("**", "*", "`"):
        if chance.random() < 0.3:
            place = chance.randrange(words)
            said[place] = f"{sign}{said[place]}{sign}"
    return " ".join(said)
