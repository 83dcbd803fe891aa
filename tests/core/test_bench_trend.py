"""One measurement over time, and when the newest row is called slower."""

from __future__ import annotations

import random

import msgspec
import pytest

from edgetui.core.bench import BenchRecord, Conditions, Machine
from edgetui.core.bench_trend import belongs, judge, regressions, trend_of
from tests.services.test_bench import record

NOISY = Conditions(others_share=0.5)


def row(number: int, samples_ms: list[int], **changes: object) -> BenchRecord:
    made = record("m", samples_ms)
    changed = msgspec.structs.replace(made.row, measured_at=float(number), **changes)
    return msgspec.structs.replace(made, record_id=number, row=changed, machine=Machine(cpu="c"))


def history(*samples: list[int]) -> list[BenchRecord]:
    return [row(number, each) for number, each in enumerate(samples, start=1)]


QUIET = ([1000, 1002, 998], [1005, 1001, 999], [1001, 1003, 999])


def test_a_slower_newest_row_is_flagged_with_its_figures() -> None:
    records = [*history(*QUIET), row(4, [1250, 1252, 1248], engine_version="1")]
    judged = judge(records)
    assert judged is not None and judged.verdict == "slower" and judged.ratio is not None
    assert judged.ratio.ratio == pytest.approx(0.80, abs=0.005)
    assert "slower than the 3 rows" in judged.sentence and "0.80" in judged.sentence
    assert "The engine went from 0 to 1." in judged.sentence
    assert list(regressions(list(reversed(records)))) == [4]
    faster = judge([*history(*QUIET), row(4, [800, 801, 799])])
    assert faster is not None and faster.verdict == "faster"


def test_the_same_rate_is_no_regression() -> None:
    judged = judge(history(*QUIET, [1002, 1004, 998]))
    assert judged is not None and judged.verdict == "same" and "no change is shown" in judged.sentence


def test_a_row_as_far_off_as_rows_are_from_another_is_no_regression_though_its_repetitions_agree() -> None:
    # Against the pool of all repetitions the interval would leave out 1, and the row is below each before it.
    judged = judge(history([1000, 1000, 1001], [1020, 1020, 1021], [1010, 1010, 1011], [1025, 1025, 1026]))
    assert judged is not None and judged.verdict == "same"


@pytest.mark.parametrize("count", [1, 2])
def test_nothing_is_said_before_three_rows_tell_how_far_rows_differ(count: int) -> None:
    records = [*history(*QUIET[:count]), row(9, [2000, 2002, 1998])]
    judged = judge(records)
    assert judged is not None and judged.verdict == "unknown" and "3 quiet rows" in judged.sentence
    assert regressions(records) == {}


@pytest.mark.parametrize("before", [3, 5])
def test_rows_that_differ_from_run_to_run_seldom_raise_the_alarm(before: int) -> None:
    draw = random.Random(before)

    def runs(count: int) -> list[list[int]]:
        centres = [draw.gauss(100_000, 1000) for _ in range(count)]
        return [[round(draw.gauss(centre, 300)) for _ in range(5)] for centre in centres]

    verdicts = [judge(history(*runs(before + 1))) for _ in range(400)]
    shown = [judged.verdict for judged in verdicts if judged is not None]
    assert len(shown) == 400 and shown.count("slower") <= 16 and shown.count("faster") <= 16


def test_nothing_is_said_of_a_noisy_newest_row() -> None:
    records = [*history([1000, 1002, 998]), row(2, [2000, 2002, 1998], conditions=NOISY)]
    judged = judge(records)
    assert judged is not None and judged.verdict == "noisy"
    assert "other programs took 50%" in judged.sentence
    assert regressions(records) == {}


def test_noisy_rows_are_no_yardstick() -> None:
    records = [*history(*QUIET), row(4, [3000, 3002, 2998], conditions=NOISY), row(5, [1250, 1252, 1248])]
    judged = judge(records)
    assert judged is not None and judged.verdict == "slower" and len(judged.before) == 3
    only_noisy = judge([row(1, [1000, 1001], conditions=NOISY), row(2, [2000, 2001])])
    assert only_noisy is not None and only_noisy.verdict == "noisy"


def test_rows_without_samples_say_nothing() -> None:
    records = [row(number, [], stated_tps=rate) for number, rate in enumerate((100.0, 101.0, 99.0, 50.0))]
    judged = judge(records)
    assert judged is not None and judged.verdict == "unknown" and regressions(records) == {}
    assert judge(records[:1]) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"threads": 2},
        {"kv_cache_type": "q8_0"},
        {"depth_tokens": 16},
        {"engine": "other"},
        {"source": "llama-bench"},
        {"fingerprint": "b"},
        {"flash_attention": "off"},
        {"gpu_layers": 0},
        {"model_size_bytes": 2},
        {"use_mmap": False},
        {"huge_pages": True},
        {"kv_cache_type_v": "q8_0"},
        {"other_columns": (("no_kv_offload", "1"),)},
        {"other_columns": (("n_cpu_moe", "99"),)},
        {"other_columns": (("load_mode", "dio"),)},
        {"other_columns": (("gpu_info", "GeForce RTX 3060"),)},
    ],
)
def test_another_measurement_is_another_trend(changes: dict[str, object]) -> None:
    base: dict[str, object] = {
        "fingerprint": "a",
        "flash_attention": "on",
        "gpu_layers": -1,
        "use_mmap": True,
        "huge_pages": False,
    }
    base["other_columns"] = (("gpu_info", "GeForce RTX 4090"), ("test_time", "2026-11-01T10:00:00Z"))
    first = row(1, [1000], **base)
    base["other_columns"] = (("n_cpu_moe", "0"), ("test_time", "2026-11-02T10:00:00Z"))
    assert belongs(first, row(2, [1000], engine_version="9", **base))
    assert not belongs(first, row(2, [1000], **{**base, **changes}))
    assert not belongs(row(2, [1000], **{**base, **changes}), first)


def test_a_row_that_does_not_say_belongs_all_the_same() -> None:
    old = row(1, [1000])
    new = row(2, [1000], fingerprint="a", flash_attention="on", physical_batch_tokens=512, kv_cache_type_v="f16")
    assert [each.record_id for each in trend_of(old, [new, old, row(3, [1], threads=9)])] == [1, 2]
