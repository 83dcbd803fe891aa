"""Long texts behind labels."""

from __future__ import annotations

from edgetui.core.pasted_text import PastedTexts


def test_a_long_text_stands_behind_a_label_with_its_size() -> None:
    pasted = PastedTexts()
    long = "x" * 102_400
    assert pasted.shorten("short") == "short"
    assert pasted.shorten(long) == "[pasted 102,400 characters]"
    assert pasted.shorten("a\n" * 40) == "[pasted 80 characters, 41 lines]"
    assert pasted.expand("see [pasted 102,400 characters]!") == f"see {long}!"


def test_texts_of_one_size_have_labels_of_their_own() -> None:
    pasted = PastedTexts()
    first, second = pasted.shorten("x" * 3000), pasted.shorten("y" * 3000)
    assert first != second == "[pasted 3,000 characters, no. 2]"
    assert pasted.shorten("x" * 3000) == first
    assert pasted.expand(second + first) == "y" * 3000 + "x" * 3000


def test_a_label_in_a_pasted_text_is_text() -> None:
    pasted = PastedTexts()
    label = pasted.shorten("x" * 3000)
    outer = pasted.shorten(f"{label} " * 200)
    assert pasted.expand(outer) == f"{label} " * 200


def test_an_edit_takes_a_label_whole_or_not_at_all() -> None:
    pasted = PastedTexts()
    label = pasted.shorten("x" * 3000)
    line, first, last = f"ab{label}cd", 2, 2 + len(label)
    assert pasted.whole_span(line, last - 1, last) == (first, last)
    assert pasted.whole_span(line, 1, first + 3) == (1, last)
    assert pasted.whole_span(line, first + 3, first + 3) == (last, last)
    assert pasted.whole_span(line, 0, 2) == (0, 2)
    pasted.forget()
    assert pasted.whole_span(line, last - 1, last) == (last - 1, last)
