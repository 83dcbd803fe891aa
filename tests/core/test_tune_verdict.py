"""What an autotune says of noisy finals, and that its chart says the same."""

from __future__ import annotations

import random

import msgspec
import pytest

from edgetui.core.bench import BenchSettings, BenchTest, Conditions
from edgetui.core.charts import BarChart
from edgetui.core.statistics import bootstrap_ratio
from edgetui.core.studies import AbResult, BenchSide, Candidate, TuneResult
from edgetui.core.study_text import study_charts
from edgetui.core.tune_text import tune_lines
from edgetui.core.tune_verdict import recommended, telling, verdict, winner

SIDE = BenchSide(model_path="m.gguf", model_name="m", model_format="gguf")
TEST = BenchTest(generated_tokens=32)


def final(label: str, own_ms: list[float], defaults_ms: list[float], others: float = 0.0) -> AbResult:
    """Of one duration a block each."""
    own, beside = (tuple(round(ms * 1e6) for ms in some for _ in range(2)) for some in (own_ms, defaults_ms))
    rates = [[1 / ms for ms in some] for some in (own_ms, defaults_ms)]
    return AbResult(
        a=BenchSide(model_path="m.gguf", model_name="m", model_format="gguf", label=label),
        b=SIDE, test=TEST, a_ns=own, b_ns=beside, ratio=bootstrap_ratio(rates[0], rates[1], 0), seed=0, reloaded=False,
        conditions=Conditions(others_share=others), sentence="",
    )  # fmt: skip


def searched(label: str, gain: float, rounds: int = 1) -> Candidate:
    return Candidate(
        label=label,
        settings=BenchSettings(),
        samples_ns=(round(1e8 / gain),),
        defaults_ns=(100_000_000,),
        rounds=rounds,
    )


DEFAULTS = Candidate(label="defaults", settings=BenchSettings(), samples_ns=(5_000_000_000,), rounds=1)
"""As a machine that was busy at that moment has it."""


def result_of(candidates: list[Candidate], finals: list[AbResult]) -> TuneResult:
    return TuneResult(
        side=SIDE, goal="decode", test=TEST, candidates=tuple(candidates), best=None, best_label="",
        final=telling(finals), profile="", took_s=1, sentence=verdict("decode", candidates, finals),
        finals=tuple(finals),
    )  # fmt: skip


def test_the_runner_up_wins_where_the_lucky_finalist_does_not() -> None:
    lucky = final("flash attention off", [100, 101, 99, 100], [80, 80, 81, 79])
    runner_up = final("threads 1", [100, 102, 99, 101], [500, 520, 490, 510])
    assert winner([lucky]) is None and winner([lucky, runner_up]) is runner_up
    candidates = [DEFAULTS, searched("flash attention off", 17, 2), searched("threads 1", 11, 2)]
    said = verdict("decode", candidates, [lucky, runner_up], saved="; saved as the profile 'fastest decode'")
    assert said.startswith("threads 1 is faster than the defaults for decode") and "saved as the profile" in said


def test_what_is_faster_beside_other_programs_is_told_and_not_recommended() -> None:
    beside = final("threads 1", [20, 21, 19, 20], [80, 80, 81, 79], others=0.5)
    assert winner([beside]) is beside and recommended([beside]) is None
    said = verdict("decode", [DEFAULTS, searched("threads 1", 4)], [beside], saved="; saved")
    assert said.startswith("threads 1 came out before the defaults for decode") and "4.00" in said
    assert "other programs took 50% of the processors meanwhile" in said and "nothing was saved" in said
    assert "run it again on a quiet machine" in said and "is faster" not in said and "; saved" not in said
    # A smaller gain that no other program took part in is one that can be had.
    quiet = final("mmap off", [40, 41, 39, 40], [80, 80, 81, 79], others=0.05)
    assert recommended([beside, quiet]) is quiet
    assert verdict("decode", [DEFAULTS], [beside, quiet], saved="; saved").startswith("mmap off is faster")


def test_a_board_that_throttles_has_its_profile_nevertheless() -> None:
    hot = final("threads 1", [20, 21, 19, 20], [80, 80, 81, 79])
    hot = msgspec.structs.replace(hot, conditions=Conditions(throttled=("heat",)))
    assert recommended([hot]) is hot
    said = verdict("decode", [DEFAULTS, searched("threads 1", 4)], [hot], saved="; saved")
    assert said.startswith("threads 1 is faster") and "throttled (heat)" in said


def test_intervals_that_say_nothing_are_too_noisy_to_say() -> None:
    chosen = random.Random(3)
    noisy = [
        final(
            label, [chosen.uniform(10, 400) for _ in range(4)], [chosen.uniform(10, 400) for _ in range(4)], others=0.6
        )
        for label in ("threads 1", "mmap off")
    ]
    assert winner(noisy) is None
    said = verdict("decode", [DEFAULTS, searched("threads 1", 5), searched("mmap off", 3)], noisy)
    assert said.startswith("Too noisy to say which settings are best for decode") and "60%" in said
    assert "defaults are best" not in said


@pytest.mark.parametrize(
    ("others", "head"), [(0.0, "The defaults are best"), (0.5, "Nothing is shown to be faster than the defaults")]
)
def test_the_defaults_are_best_only_on_a_quiet_machine(others: float, head: str) -> None:
    slower = final("threads 1", [100, 101, 99, 100], [80, 80, 81, 79], others)
    assert verdict("decode", [DEFAULTS, searched("threads 1", 0.8)], [slower]).startswith(head)


def test_what_looked_faster_and_had_no_final_leaves_it_undecided() -> None:
    slower = final("threads 1", [100, 101, 99, 100], [80, 80, 81, 79])
    said = verdict("decode", [DEFAULTS, searched("threads 1", 3), searched("mmap off", 1.5)], [slower])
    assert said.startswith("Undecided for decode") and "no time for a final of mmap off, 1.500x" in said


def test_a_gain_that_is_not_excluded_is_undecided() -> None:
    close = final("threads 1", [90, 99, 92, 101], [100, 100, 100, 100])
    said = verdict("decode", [DEFAULTS, searched("threads 1", 1.1)], [close])
    assert said.startswith("Undecided for decode") and "may be faster" in said


def test_the_chart_has_the_figures_of_the_sentence_and_the_dropped_apart() -> None:
    slower = final("flash attention off", [100, 101, 99, 100], [80, 80, 81, 79])
    candidates = [DEFAULTS, searched("flash attention off", 17, 2), searched("threads 1", 0.9)]
    result = result_of(candidates, [slower])
    finals, dropped = study_charts(result)
    assert isinstance(finals, BarChart) and isinstance(dropped, BarChart)
    assert [bar.label for bar in finals.bars] == ["defaults", "flash attention off"]
    assert slower.ratio is not None and finals.bars[1].value == slower.ratio.ratio
    assert f"{finals.bars[1].value:.3f}x" in result.sentence and result.sentence.startswith("The defaults are best")
    assert [(bar.label, bar.note) for bar in dropped.bars] == [("threads 1", " (out after 1 round)")]
    assert "Dropped out" in dropped.title
    told = dict(tune_lines(result))
    assert told["flash attention off"].startswith(f"final {slower.ratio.ratio:.3f}x the defaults")
    assert told["threads 1"].startswith("search 0.900x")


def test_an_interval_without_end_does_not_flatten_the_bars() -> None:
    noisy = final("threads 1", [10, 400], [300, 20])
    chart = study_charts(result_of([DEFAULTS, searched("threads 1", 5)], [noisy]))[0]
    assert isinstance(chart, BarChart)
    bar = next(bar for bar in chart.bars if bar.label == "threads 1")
    assert bar.high is None and " to " in bar.note


def test_a_result_that_an_earlier_edgetui_kept_is_still_drawn() -> None:
    old = Candidate(label="threads 1", settings=BenchSettings(), samples_ns=(100_000_000,), rounds=3)
    result = TuneResult(
        side=SIDE, goal="decode", test=TEST, candidates=(DEFAULTS, old), best=None, best_label="", final=None,
        profile="", took_s=1, sentence="",
    )  # fmt: skip
    (chart,) = study_charts(result)
    assert isinstance(chart, BarChart) and chart.unit == "tok/s" and chart.bars[0].note == " (3 rounds)"
