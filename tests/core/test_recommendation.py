"""The rule of a ranking, on choices made up so that each part of it decides once."""

from __future__ import annotations

import msgspec

from edgetui.core.families import Score
from edgetui.core.fit import FitVerdict, MemoryParts
from edgetui.core.hardware import known, unknown
from edgetui.core.recommendation import BENCHMARK, Choice, Pace, ranking
from edgetui.core.recommendation_text import details, note, rate_text
from edgetui.services.families import read_families

_MEMBER = msgspec.structs.replace(read_families()[0].members[0], score=None)


def choice(
    name: str = "a",
    type_name: str = "Q8_0",
    *,
    tps: float | None = 10.0,
    score: float | None = None,
    benchmark: str = BENCHMARK,
    parameters: int = 1_000_000_000,
    broken: tuple[str, ...] = (),
    verdict: FitVerdict = "fits",
    family: str = "Phi-4",
) -> Choice:
    published = (
        None
        if score is None
        else Score(benchmark=benchmark, value=score, conditions="instruct", source="https://example.org")
    )
    parts = MemoryParts(weights_mapped=parameters, weights_copied=0, kv_cache=1, compute=1, output=1, runtime=1)
    pace = (
        unknown("not calibrated")
        if tps is None
        else known(Pace(tps=tps, low=tps * 0.8, high=tps * 1.2, prefill_tps=None))
    )
    return Choice(
        family=family,
        member=msgspec.structs.replace(_MEMBER, name=name, score=published, parameters=parameters),
        type_name=type_name,
        memory=parts,
        verdict=verdict,
        pace=pace,
        ttft_s=None,
        joules_per_token=None,
        broken=broken,
    )


def names(*choices: Choice) -> list[str]:
    return [row.choice.member.name for row in ranking(choices)]


def test_a_higher_score_stands_first_and_without_any_score_parameters_count() -> None:
    rows = (
        choice("small", parameters=1),
        choice("good", score=50, parameters=20),
        choice("large", parameters=9),
        choice("fair", score=20, parameters=10),
    )
    assert names(*rows) == ["good", "fair", "large", "small"]
    found = ranking(rows)
    assert found[1].reasons[0].startswith("after good: MMLU-Pro 20.0 as published (instruct; https://")
    assert found[3].reasons[0].startswith("after large: no MMLU-Pro score of it or of a smaller one")


def test_without_a_score_a_member_stands_behind_the_best_of_its_family_that_is_no_larger() -> None:
    rows = (
        choice("sibling", score=40, parameters=10),
        choice("unknown", parameters=10),
        choice("larger", score=60, parameters=30),
        choice("stranger", score=39, parameters=5, family="other"),
    )
    assert names(*rows) == ["larger", "sibling", "unknown", "stranger"]
    assert "by that of sibling (40.0), the best-scored one of its family" in ranking(rows)[2].reasons[0]


def test_a_score_of_another_benchmark_does_not_rank() -> None:
    assert names(choice("other", score=90, benchmark="MMLU", family="x"), choice("same", score=10)) == ["same", "other"]


def test_what_is_tight_stands_after_what_leaves_room_and_what_breaks_a_limit_last() -> None:
    rows = (
        choice("broken", score=90, broken=("too slow",)),
        choice("tight", score=80, verdict="tight"),
        choice("twice", score=95, broken=("too slow", "too large")),
        choice("roomy", score=1),
    )
    assert names(*rows) == ["roomy", "tight", "broken", "twice"]
    found = ranking(rows)
    assert found[1].reasons[0].startswith("after all that leave room in memory: ")
    assert found[3].reasons[:2] == ("breaks: too slow", "breaks: too large")
    assert note(found[3]) == "too slow (and 1 more)"


def test_the_most_faithful_type_that_keeps_the_limits_is_taken_and_says_why_no_better_one() -> None:
    (row,) = ranking(
        (
            choice(type_name="Q4_K_M"),
            choice(type_name="Q5_K_M"),
            choice(type_name="Q6_K", broken=("~3.0 tok/s, under 6",)),
        )
    )
    assert row.choice.type_name == "Q5_K_M"
    assert "Q5_K_M: the most faithful type that keeps the limits; Q6_K: ~3.0 tok/s, under 6" in row.reasons
    (row,) = ranking((choice(type_name="Q4_K_M"), choice(type_name="Q8_0", verdict="tight")))
    assert row.choice.type_name == "Q4_K_M"


def test_the_frontier_holds_what_no_other_beats_in_both() -> None:
    rows = (
        choice("fast", score=10, tps=50), choice("good", score=60, tps=5), choice("worse", score=50, tps=4),
        choice("unknown", score=99, tps=None),
    )  # fmt: skip
    assert {row.choice.member.name for row in ranking(rows) if row.on_frontier} == {"fast", "good"}


def test_no_speed_is_shown_where_none_is_known_and_a_bound_is_marked() -> None:
    (row,) = ranking((choice(tps=None),))
    assert rate_text(row.choice) == "-"
    assert "speed unknown: not calibrated" in row.reasons
    bound = known(Pace(tps=7.0, low=0.0, high=7.0, prefill_tps=None, is_bound=True))
    assert rate_text(msgspec.structs.replace(row.choice, pace=bound)) == "<7.0"
    assert ("original", _MEMBER.original) in details(row)


def test_a_limit_that_the_forecasts_interval_crosses_is_kept_barely_and_says_so() -> None:
    (row,) = ranking((msgspec.structs.replace(choice("a"), barely="~6.1 tok/s is forecast, but 5.0 may come"),))
    assert note(row).startswith("barely") and any(line.startswith("barely: ~6.1 tok/s") for line in row.reasons)
