from __future__ import annotations

from pathlib import Path

from edgetui.core.model_list import ORDERS, listed
from edgetui.core.models import ModelEntry, ModelMarks


def entry(name: str, size: int, fingerprint: str = "", quant_type: str | None = None, **marks: object) -> ModelEntry:
    return ModelEntry(
        name=name,
        path=Path(name),
        parts=(),
        source="folder",
        format="gguf",
        size_bytes=size,
        fingerprint=fingerprint,
        quant_type=quant_type,
        marks=ModelMarks(**marks),  # type: ignore[arg-type]
    )


ENTRIES = (
    entry("beta", 3, "same", "Q4_0", note="for the board"),
    entry("Alpha", 9, "same", "Q8_0", tags="code"),
    entry("gamma", 5, "own", is_favourite=True),
)


def names(words: str, order: str = "name") -> list[str]:
    place = [name for name, _ in ORDERS].index(order)
    return [each.name for each in listed(ENTRIES, words.split(), place)]


def test_each_order_is_what_its_name_says() -> None:
    assert names("") == ["Alpha", "beta", "gamma"]
    assert names("", "size") == ["Alpha", "gamma", "beta"]
    # What has no type stands last.
    assert names("", "type") == ["beta", "Alpha", "gamma"]
    assert names("", "favourites first") == ["gamma", "Alpha", "beta"]


def test_every_word_must_be_found_in_what_is_known_or_marked() -> None:
    assert names("code") == ["Alpha"] and names("board q4") == ["beta"] and names("code board") == []
    assert names("*") == ["gamma"] and names("=") == ["Alpha", "beta"] and names("= q8") == ["Alpha"]
