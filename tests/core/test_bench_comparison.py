"""What two rows show of each other: nothing beside other programs, and in pairs where an A/B measured them."""

from __future__ import annotations

import msgspec
import pytest

from edgetui.core.bench import BenchRecord, BenchTest, Conditions, Machine
from edgetui.core.bench_comparison import compare, compare_all, turns_of
from edgetui.core.failures import EdgetuiError
from edgetui.core.statistics import bootstrap_ratio
from edgetui.core.studies import AbResult, BenchSide, Study, ab_sentence
from edgetui.core.study_text import ab_lines, study_charts
from tests.services.test_bench import record

NOISY = Conditions(others_share=0.5)


def beside_others(found: BenchRecord) -> BenchRecord:
    return msgspec.structs.replace(found, row=msgspec.structs.replace(found.row, conditions=NOISY))


def drifting() -> tuple[BenchRecord, BenchRecord, Study]:
    """Two rows of an A/B on a machine that got slower from block to block, A always ahead by a fifth."""
    a_ms = [ms for ms in (100, 200, 400, 800) for _ in range(2)]
    a, b = (
        msgspec.structs.replace(record(name, samples), job_id="ab")
        for name, samples in (("a", a_ms), ("b", [ms * 6 // 5 for ms in a_ms]))
    )
    sides = [BenchSide(model_path=f"{name}.gguf", model_name=name, model_format="gguf", label=name) for name in "ab"]
    rates = [each.row.samples_tps[::2] for each in (a, b)]
    ratio = bootstrap_ratio(rates[0], rates[1], 0)
    result = AbResult(
        a=sides[0], b=sides[1], test=BenchTest(generated_tokens=a.row.tokens), a_ns=a.row.samples_ns,
        b_ns=b.row.samples_ns, ratio=ratio, seed=0, reloaded=False, conditions=None,
        sentence=ab_sentence("a", "b", ratio, 4, 0),
    )  # fmt: skip
    return a, b, Study(study_id=1, job_id="ab", measured_at=0, machine=Machine(), result=result)


def test_a_clear_difference_is_told_with_its_interval() -> None:
    told = compare(record("a", [500, 505, 495]), record("b", [1000, 1010, 990])).sentence
    assert told.startswith("a is faster than b by 2.00x (95 % interval 1.9")
    assert compare(record("b", [1000, 1010, 990]), record("a", [500, 505, 495])).sentence == told


def test_noise_is_not_told_as_a_difference() -> None:
    assert compare(record("a", [500, 600, 550]), record("b", [580, 520, 560])).sentence.startswith("No difference")


@pytest.mark.parametrize("fast_is_noisy", [True, False])
@pytest.mark.parametrize("slow_is_noisy", [True, False])
def test_a_row_measured_beside_other_programs_shows_nothing(fast_is_noisy: bool, slow_is_noisy: bool) -> None:
    fast, slow = record("a", [500, 505, 495]), record("b", [1000, 1010, 990])
    fast = beside_others(fast) if fast_is_noisy else fast
    slow = beside_others(slow) if slow_is_noisy else slow
    for told in (compare(fast, slow), compare(slow, fast)):
        assert told.ratio is not None and told.ratio.is_shown
        assert "2.00x" in told.sentence
        if not fast_is_noisy and not slow_is_noisy:
            assert told.sentence.startswith("a is faster than b")
            continue
        assert "faster" not in told.sentence and told.sentence.startswith("No difference can be told")
        assert ("a (other programs took 50% of the processors)" in told.sentence) == fast_is_noisy
        assert ("b (other programs took 50% of the processors)" in told.sentence) == slow_is_noisy
        assert "edgetui bench --ab" in told.sentence and "a has 2.00x" in told.sentence


def test_the_rows_of_one_a_b_are_compared_in_its_pairs() -> None:
    a, b, study = drifting()
    assert compare(a, b).sentence.startswith("No difference is shown")
    (told,) = compare_all([b, a], [study])
    assert isinstance(study.result, AbResult) and told.ratio == study.result.ratio
    assert told.ratio is not None and told.ratio.ratio == pytest.approx(1.2)
    assert study.result.sentence in told.sentence and "a is faster than b: 1.200x" in told.sentence
    (swapped,) = compare_all([a, b], [study])
    assert swapped.ratio is not None and swapped.ratio.ratio == pytest.approx(1 / 1.2)
    assert swapped.sentence == told.sentence


def test_rows_of_another_job_are_not_taken_for_its_pairs() -> None:
    a, b, study = drifting()
    later = msgspec.structs.replace(b, job_id="later")
    assert compare(a, later, turns_of([study])).by_turns is None
    assert compare(a, record("c", [1000, 1010]), turns_of([study])).by_turns is None


def test_every_place_shows_the_rate_of_the_rows() -> None:
    a, b, study = drifting()
    assert isinstance(study.result, AbResult)
    assert study.result.mean_tps == pytest.approx((a.row.mean_tps, b.row.mean_tps))
    (chart, *_) = study_charts(study.result)
    assert [bar.value for bar in getattr(chart, "bars", ())] == pytest.approx([a.row.mean_tps, b.row.mean_tps])
    assert ab_lines(study.result)[0] == f"a: mean {a.row.mean_tps:.2f} tok/s, tg{a.row.tokens}, 8 repetitions"
    assert "geometric mean of the ratios within 4 paired ABBA blocks" in study.result.sentence


def test_a_faster_side_on_a_noisy_machine_may_not_be_so_on_a_quiet_one() -> None:
    a, b, _ = drifting()
    ratio = bootstrap_ratio(a.row.samples_tps, b.row.samples_tps, 0)
    told = ab_sentence("a", "b", ratio, 4, 0, NOISY)
    assert "noisy meanwhile: other programs took 50%" in told and told.endswith("On a quiet one it may be otherwise.")
    assert "noisy" not in ab_sentence("a", "b", ratio, 4, 0, Conditions(others_share=0.01))


def test_a_single_repetition_compares_with_nothing() -> None:
    assert "two repetitions" in compare(record("a", [500]), record("b", [400])).sentence


def test_different_tests_do_not_compare() -> None:
    with pytest.raises(EdgetuiError, match="tg100 and pp100"):
        compare(record("a", [1, 2]), record("b", [1, 2], test="pp"))
