"""Words that choose rows of the history, such as `tg engine:onnx >2026-11-01`, and how rows are sorted."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from edgetui.core.bench_noise import noise_of
from edgetui.core.failures import EdgetuiError
from edgetui.core.plain_text import plain_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from edgetui.core.bench import BenchRecord

    Test = Callable[[BenchRecord], bool]

OWN_SOURCE = "edgetui"
"""What `source:` calls rows that edgetui measured."""
_CONTAINED: dict[str, Callable[[BenchRecord], str]] = {
    "model": lambda record: record.row.model_name,
    "engine": lambda record: record.row.engine,
    "version": lambda record: record.row.engine_version,
    "backend": lambda record: record.row.backend,
    "type": lambda record: record.row.model_quant_type,
    "machine": lambda record: f"{record.machine.cpu} {record.machine.architecture} {record.machine.system}",
    "source": lambda record: source_of(record),
    "job": lambda record: record.job_id or "",
}
"""A word after the colon must occur in it."""
_EXACT: dict[str, Callable[[BenchRecord], str]] = {
    "threads": lambda record: str(record.row.threads),
    "kv": lambda record: record.row.kv_cache_type,
    "batch": lambda record: str(record.row.batch_tokens),
    "ubatch": lambda record: str(record.row.physical_batch_tokens),
    "depth": lambda record: str(record.row.depth_tokens),
    "fa": lambda record: record.row.flash_attention,
    "mmap": lambda record: _yes_or_no(record.row.use_mmap),
    "huge": lambda record: _yes_or_no(record.row.huge_pages),
    "noisy": lambda record: "yes" if noise_of(record.row) else "no",
    "id": lambda record: str(record.record_id),
}
KEYS = (*_CONTAINED, "test", *_EXACT)
"""What may stand before a colon."""
SORTS: dict[str, Callable[[BenchRecord], tuple[float | str, ...]]] = {
    "date": lambda record: (record.row.measured_at, record.record_id),
    "model": lambda record: (record.row.model_name.lower(), record.row.name),
    "test": lambda record: (record.row.test, record.row.tokens, record.row.depth_tokens),
    "rate": lambda record: (record.row.mean_tps,),
    "engine": lambda record: (record.row.engine, record.row.engine_version),
    "threads": lambda record: (record.row.threads,),
    "depth": lambda record: (record.row.depth_tokens,),
    "energy": lambda record: (record.row.joules_per_token or float("inf"),),
}
_DATE = re.compile(r"^(\d{4})-(\d{1,2})(?:-(\d{1,2})(?:t(\d{1,2}):(\d{2}))?)?$")


def source_of(record: BenchRecord) -> str:
    """Whose row it is."""
    return record.row.source or OWN_SOURCE


def parse(text: str) -> Test:
    """A test that a record passes when every word of the text holds; no words let all pass.

    A plain word occurs in what a row says of itself, `key:word` in that alone, `-word` or `not:word` must not hold,
    `>2026-11-01` is that day and later, `<2026-11-01` before it (local time; `2026-11` is the month's first day).
    Raises `EdgetuiError("bad_request")` with what a word may be.
    """
    tests = [_word(word) for word in text.lower().split()]
    return lambda record: all(test(record) for test in tests)


def select(records: Iterable[BenchRecord], text: str, sort: str = "") -> list[BenchRecord]:
    """Rows that the words let through, in the order given or sorted by one of `SORTS`, downwards with `-` before it."""
    test = parse(text)
    chosen = [record for record in records if test(record)]
    if sort:
        name, falling = sort.removeprefix("-"), sort.startswith("-")
        if name not in SORTS:
            raise EdgetuiError(
                "bad_request",
                f"Rows cannot be sorted by {plain_line(name)!r}: take {', '.join(SORTS)}, or - before one.",
            )
        chosen.sort(key=SORTS[name], reverse=falling)
    return chosen


def _yes_or_no(value: bool | None) -> str:
    """`-` where a row does not tell it."""
    return {None: "-", True: "yes", False: "no"}[value]


def _word(word: str) -> Test:
    denied = False
    while len(word) > 1 and (word[0] == "-" or word.startswith("not:")):
        word, denied = word[1 if word[0] == "-" else 4 :], not denied
    if not word:
        raise EdgetuiError("bad_request", "'not:' denies nothing: write a word after it, such as not:noisy:yes.")
    test = _plain_word(word)
    # A key without its value lets all pass; denied, it would let none.
    return (lambda record: not test(record)) if denied and not word.endswith(":") else test


def _plain_word(word: str) -> Test:
    if word[0] in "<>":
        moment = _moment(word)
        if word[0] == ">":
            return lambda record: record.row.measured_at >= moment
        return lambda record: record.row.measured_at < moment
    key, colon, value = word.partition(":")
    if colon and key in _CONTAINED:
        text_of = _CONTAINED[key]
        return lambda record: value in text_of(record).lower()
    if colon and key == "test":
        # `test:tg` is every decode, `test:tg128` that one at any depth, and neither is `pp512+tg128`.
        whole = not value[2:].isdigit()
        return lambda record: record.row.name.startswith(value) if whole else value == record.row.name.split(" @ ")[0]
    if colon and key in _EXACT:
        exact = _EXACT[key]
        return lambda record: value in ("", exact(record).lower())
    if colon:
        raise EdgetuiError("bad_request", f"Rows have no {plain_line(key)!r} to filter by: take {', '.join(KEYS)}.")
    return lambda record: word in _said(record)


def _moment(word: str) -> float:
    match = _DATE.match(word[1:])
    if match is not None:
        year, month, day, hour, minute = (int(part) if part else None for part in match.groups())
        try:
            return time.mktime(time.strptime(f"{year} {month} {day or 1} {hour or 0} {minute or 0}", "%Y %m %d %H %M"))
        except (ValueError, OverflowError):
            pass
    raise EdgetuiError(
        "bad_request", f"{plain_line(word)!r} has no date: write it as {word[0]}2026-11-01, or as {word[0]}2026-11."
    )


def _said(record: BenchRecord) -> str:
    row = record.row
    return " ".join(
        (
            *(row.model_name, row.model_quant_type, row.name, row.kv_cache_type, row.engine, row.engine_version),
            *(row.backend, source_of(record), record.machine.cpu),
        )
    ).lower()
