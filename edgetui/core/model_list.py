"""A list of models: its orders, and what a filter lets through."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from edgetui.core.models import ModelEntry

ORDERS: tuple[tuple[str, Callable[[ModelEntry], Any]], ...] = (
    ("name", lambda entry: entry.name.lower()),
    ("size", lambda entry: -entry.size_bytes),
    ("parameters", lambda entry: -(entry.parameter_count or 0)),
    ("type", lambda entry: (entry.quant_type or "~", entry.name.lower())),
    ("favourites first", lambda entry: (not entry.marks.is_favourite, entry.name.lower())),
)
"""Each with its name."""


def listed(entries: Iterable[ModelEntry], words: Sequence[str], order: int) -> list[ModelEntry]:
    """The entries in which every word is found, in one of `ORDERS`; of equal ones the order stays.

    The word `*` is found in favourites, `=` where another entry has the same content.
    """
    entries = list(entries)
    alike = Counter(entry.fingerprint for entry in entries if entry.fingerprint)
    return sorted((entry for entry in entries if _matches(entry, words, alike)), key=ORDERS[order][1])


def _matches(entry: ModelEntry, words: Sequence[str], alike: Counter[str]) -> bool:
    told = (entry.name, entry.quant_type, entry.format, entry.architecture, entry.repo)
    known = " ".join(filter(None, (*told, entry.marks.tags, entry.marks.note))).lower()
    marks = {"*": entry.marks.is_favourite, "=": alike[entry.fingerprint] > 1}
    return all(marks.get(word, word in known) for word in words)
