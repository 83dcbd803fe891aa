"""Words that choose rows of the history."""

from __future__ import annotations

import time

import msgspec
import pytest

from edgetui.core.bench import BenchRecord, Conditions, Machine
from edgetui.core.bench_filter import select
from edgetui.core.failures import EdgetuiError
from tests.services.test_bench import record


def at(date: str) -> float:
    return time.mktime(time.strptime(date, "%Y-%m-%d"))


def changed(name: str, number: int, **changes: object) -> BenchRecord:
    made = record(name, [1000 + number])
    row = msgspec.structs.replace(made.row, **changes)
    return msgspec.structs.replace(made, record_id=number, row=row, machine=Machine(cpu="AMD EPYC"))


RECORDS = [
    changed("alpha", 1, measured_at=at("2026-10-31"), threads=1),
    changed("beta", 2, measured_at=at("2026-11-01"), threads=12, engine="onnxruntime-genai"),
    changed("gamma", 3, measured_at=at("2026-11-15"), test="pp", tokens=512, source="llama-bench"),
    changed("delta", 4, measured_at=at("2026-12-01"), tokens=100, depth_tokens=4096, use_mmap=False, huge_pages=True),
    changed("eta", 5, measured_at=at("2026-12-02"), test="pg", tokens=100, prompt_tokens=512, use_mmap=True),
    changed("noisy", 6, measured_at=at("2026-12-03"), conditions=Conditions(others_share=0.4)),
]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("", {1, 2, 3, 4, 5, 6}),
        ("ALPHA", {1}),
        ("engine:onnx", {2}),
        ("threads:1", {1, 3, 4, 5, 6}),
        ("threads:12", {2}),
        ("test:tg", {1, 2, 4, 6}),
        ("test:tg100", {1, 2, 4, 6}),
        ("test:tg1", set()),
        ("test:pp", {3, 5}),
        ("test:pp512", {3}),
        ("depth:4096", {4}),
        ("source:llama-bench", {3}),
        ("source:edgetui -engine:onnx", {1, 4, 5, 6}),
        (">2026-11-01", {2, 3, 4, 5, 6}),
        (">2026-11-01 <2026-12-01", {2, 3}),
        (">2026-12", {4, 5, 6}),
        (">2026-12-01T00:01", {5, 6}),
        ("noisy:yes", {6}),
        ("mmap:yes", {5}),
        ("mmap:no", {4}),
        ("mmap:-", {1, 2, 3, 6}),
        ("huge:yes", {4}),
        ("-huge:- mmap:", {4}),
        ("not:noisy:yes not:test:tg", {3, 5}),
        ("machine:epyc id:3", {3}),
    ],
)
def test_words_choose_rows(words: str, found: set[int]) -> None:
    assert {each.record_id for each in select(RECORDS, words)} == found


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("colour:red", "no 'colour' to filter by"),
        ("not:", "write a word after it"),
        ("not:not:", "write a word after it"),
        ("-not:", "write a word after it"),
        (">yesterday", "2026-11-01"),
        (">2026-13-01", "no date"),
        ("<", "no date"),
    ],
)
def test_a_word_that_means_nothing_is_refused(words: str, why: str) -> None:
    with pytest.raises(EdgetuiError, match=why):
        select(RECORDS, words)


@pytest.mark.parametrize("whole", ["not:noisy:yes", "-engine:onnx", "not:-test:tg", ">2026-11-01", "-<2026-12"])
def test_a_word_on_its_way_hides_nothing_or_is_refused(whole: str) -> None:
    """A key without its value lets all pass, and so it does when it is denied."""
    for length in range(1, len(whole)):
        try:
            found = select(RECORDS, whole[:length])
        except EdgetuiError:
            continue
        if whole[:length].endswith(":"):
            assert found == RECORDS
    assert select(RECORDS, 2000 * "-" + whole) == select(RECORDS, whole)


def test_rows_are_sorted_both_ways() -> None:
    assert [each.record_id for each in select(RECORDS, "", "date")] == [1, 2, 3, 4, 5, 6]
    fastest = select(RECORDS, "test:tg", "-rate")
    rates = [each.row.mean_tps for each in fastest]
    assert rates == sorted(rates, reverse=True) and len(rates) == 4
    with pytest.raises(EdgetuiError, match="cannot be sorted by 'colour'"):
        select(RECORDS, "", "colour")
