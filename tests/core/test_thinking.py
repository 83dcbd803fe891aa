"""Thinking told from answers, by every family's marks, however the text comes."""

from __future__ import annotations

import random

import pytest

from edgetui.core.thinking import MARKS, ThinkingSplitter, sections_of, split_thinking, without_thinking


@pytest.mark.parametrize("marks", MARKS, ids=lambda marks: marks.opening)
def test_each_familys_marks_part_thinking_from_the_answer(marks: object) -> None:
    opening, closing = marks[0], marks[1]  # type: ignore[index]
    assert split_thinking(f"{opening}\nhm <b\n{closing}\n\nYes {opening}") == ("hm <b\n", f"Yes {opening}")


@pytest.mark.parametrize(
    ("text", "thinking", "answer"),
    [
        ("plain < text", "", "plain < text"),
        ("<think>never ended", "never ended", ""),
        ("I see.\n</think>\n\nYes", "I see.\n", "Yes"),
        ("Use <think> and </think> so", "", "Use <think> and </think> so"),
        ("<think></think>Yes", "", "Yes"),
        ("<thin", "", "<thin"),
        ("<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>b", "a", "b"),
        ("", "", ""),
    ],
)
def test_thinking_ends_where_its_mark_says(text: str, thinking: str, answer: str) -> None:
    assert split_thinking(text) == (thinking, answer)
    assert without_thinking(text) == answer
    assert "".join(part for _, part in sections_of(text)) == text


@pytest.mark.parametrize("seed", range(20))
def test_it_does_not_matter_in_what_parts_the_text_comes(seed: int) -> None:
    chance = random.Random(seed)
    text = "  <think>\nhm </thi <think>\n</think>\n\nHello </think> world"
    splitter = ThinkingSplitter()
    sections, position = [], 0
    while position < len(text):
        step = chance.randint(1, 9)
        sections += splitter.feed(text[position : position + step])
        position += step
    sections += splitter.finish()
    assert "".join(part for _, part in sections) == text
    assert "".join(part for kind, part in sections if kind == "thinking") == "hm </thi <think>\n"
    assert "".join(part for kind, part in sections if kind == "answer") == "Hello </think> world"
