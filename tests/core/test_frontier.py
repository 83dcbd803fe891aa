"""Which builds keep limits, which are on the frontier, and which is picked, with figures worked out by hand."""

from __future__ import annotations

import csv
import io
import json
import xml.etree.ElementTree as ElementTree

import pytest

from edgetui.core.bench import BenchRow
from edgetui.core.frontier import FrontierLimits, FrontierRow, judge, pick
from edgetui.core.frontier_svg import as_svg
from edgetui.core.frontier_text import as_csv, as_json, as_markdown, place_mark, table_cells
from edgetui.core.quality import Divergence, Estimate, QualityRow

MIB = 1024**2
NOTHING = FrontierLimits()


def quality(kl: float, error: float = 0.0001) -> QualityRow:
    figure = Estimate(0.9, 0.01)
    return QualityRow(
        model_name="m",
        model_path="/m",
        model_format="gguf",
        model_size_bytes=1,
        quant_type="Q4_K_M",
        engine="llama.cpp",
        engine_version="1",
        base_name="parent",
        text_name="topics",
        text_sha256="0" * 64,
        context_tokens=512,
        chunks=4,
        scored_tokens=1020,
        perplexity=Estimate(20.0, 0.5),
        divergence=Divergence(
            mean=Estimate(kl, error),
            median=kl / 2,
            p99=kl * 10,
            maximum=kl * 50,
            same_top1=figure,
            same_top5=figure,
            mean_dp=figure,
            rms_dp=figure,
            ln_perplexity_ratio=figure,
            base_perplexity=Estimate(19.0, 0.5),
        ),
    )


def speed(tps: float, memory_mib: int = 200) -> BenchRow:
    return BenchRow(
        test="tg",
        tokens=100,
        samples_ns=(round(100e9 / tps),),
        threads=2,
        batch_tokens=512,
        kv_cache_type="f16",
        model_name="m",
        model_path="/m",
        model_size_bytes=1,
        model_parameter_count=1,
        model_quant_type="Q4_K_M",
        engine="llama.cpp",
        engine_version="1",
        measured_at=0,
        load_average=None,
        memory_bytes=memory_mib * MIB,
    )


def build(label: str, size_mib: float, kl: float, tps: float = 100, **other: object) -> FrontierRow:
    row = FrontierRow(
        sweep_id="s",
        cell_id=label,
        source_name="parent",
        label=label,
        toolchain="llama.cpp",
        size_bytes=round(size_mib * MIB),
        quality=quality(kl),
        decode=speed(tps),
    )
    import msgspec

    return msgspec.structs.replace(row, **other)


ROWS = [
    build("Q8_0", 140, 0.001, 90),
    build("Q6_K", 120, 0.004, 95),
    build("bad", 125, 0.02, 80),
    build("Q4_K_M", 90, 0.03, 120),
    build("Q2_K", 60, 0.9, 140),
]


def labels(judged: list, *, frontier: bool) -> list[str]:  # type: ignore[type-arg]
    return [one.row.label for one in judged if one.on_frontier == frontier]


def test_a_build_that_another_beats_in_size_and_quality_is_not_on_the_frontier() -> None:
    assert labels(judge(ROWS, NOTHING, "size"), frontier=False) == ["bad"]


def test_by_speed_the_frontier_is_another() -> None:
    rows = [*ROWS, build("fast", 500, 0.0005, 200)]
    assert labels(judge(rows, NOTHING, "speed"), frontier=True) == ["fast"]
    assert "fast" in labels(judge(rows, NOTHING, "size"), frontier=True)


def test_the_pick_is_the_smallest_whose_loss_is_hard_to_notice_with_or_without_limits() -> None:
    rows = [build("F16 (source)", 260, 0.0, 60), *ROWS]
    without = pick(judge(rows, NOTHING, "size"), NOTHING, "size")
    assert without.row is not None and without.row.label == "Q4_K_M"
    wide = FrontierLimits(max_memory_mib=4096)
    judged = judge(rows, wide, "size")
    # A limit that nothing breaks changes nothing.
    assert pick(judged, wide, "size").row is without.row
    narrow = FrontierLimits(max_size_mib=130, min_decode_tps=85, max_kl=0.01)
    judged = judge(rows, narrow, "size")
    picked = pick(judged, narrow, "size")
    assert picked.row is not None and picked.row.label == "Q6_K"
    assert "KL 0.0040" in picked.reason and "120 MiB" in picked.reason and "95.0 tok/s" in picked.reason
    broken = {one.row.label: one.broken for one in judged}
    assert broken["Q8_0"] == ("size 140 MiB > 130 MiB",)
    assert broken["bad"] == ("decode 80.0 tok/s < 85.0 tok/s", "KL 0.02 > 0.01")


def test_paid_with_speed_the_fastest_of_the_good_ones_is_picked() -> None:
    rows = [build("F16 (source)", 260, 0.0, 60), *ROWS, build("fast", 500, 0.01, 200)]
    picked = pick(judge(rows, NOTHING, "speed"), NOTHING, "speed")
    assert picked.row is not None and picked.row.label == "fast"


def test_a_build_that_is_too_slow_to_use_or_has_a_problem_is_never_picked() -> None:
    rows = [*ROWS, build("slow", 50, 0.01, 0.2), build("crashed", 40, 0.01, problem="The engine crashed.")]
    picked = pick(judge(rows, NOTHING, "size"), NOTHING, "size")
    assert picked.row is not None and picked.row.label == "Q4_K_M"
    alone = judge([rows[-1]], NOTHING, "size")
    assert pick(alone, NOTHING, "size").row is None


def test_where_every_loss_is_felt_the_least_is_picked_and_of_those_alike_the_cheapest() -> None:
    rows = [
        build("large", 140, 0.100, quality=quality(0.100, 0.01)),
        build("small", 100, 0.115, quality=quality(0.115, 0.01)),
        build("worse", 80, 0.300, quality=quality(0.300, 0.01)),
    ]
    picked = pick(judge(rows, NOTHING, "size"), NOTHING, "size")
    assert picked.row is rows[1] and "cannot be told apart from the least loss (large" in picked.reason
    picked = pick(judge(rows[::2], NOTHING, "size"), NOTHING, "size")
    assert picked.row is rows[0] and "more than is hard to notice" in picked.reason


def test_limits_that_nothing_keeps_name_the_nearest_and_what_it_breaks() -> None:
    limits = FrontierLimits(max_size_mib=100, max_kl=0.01)
    picked = pick(judge(ROWS, limits, "size"), limits, "size")
    assert picked.row is None
    assert (
        "None of the 5 keeps your limits" in picked.reason
        and "Q6_K of parent (size 120 MiB > 100 MiB)" in picked.reason
    )


def test_a_figure_that_was_not_measured_keeps_no_limit_on_it() -> None:
    row = build("unknown", 100, 0.01, decode=None)
    limits = FrontierLimits(min_decode_tps=1)
    assert judge([row], limits, "size")[0].broken == ("decode was not measured",)
    assert judge([row], NOTHING, "size")[0].on_frontier
    assert not judge([row], NOTHING, "speed")[0].on_frontier


def test_nothing_measured_is_said() -> None:
    row = build("failed", 100, 0.01, quality=None, decode=None, problem="It broke.")
    picked = pick(judge([row], NOTHING, "size"), NOTHING, "size")
    assert picked.row is None and "No quality has been measured" in picked.reason


def test_what_was_not_measured_is_a_dash_in_the_table() -> None:
    row = build("failed", 100, 0.01, quality=None, decode=None, problem="It broke.")
    assert table_cells(judge([row], NOTHING, "size")[0])[2:9] == ("-",) * 7


def test_every_export_holds_every_build_with_its_figures() -> None:
    limits = FrontierLimits(max_size_mib=130)
    judged = judge(ROWS, limits, "size")
    picked = pick(judged, limits, "size")
    marks = [place_mark(one, picked) for one in judged]
    assert marks == [".", "*", " ", ">", "*"]
    read = list(csv.DictReader(io.StringIO(as_csv(judged, picked))))
    assert [row["build"] for row in read] == [row.label for row in ROWS]
    assert float(read[1]["kl_mean"]) == 0.004 and read[3]["is_pick"] == "True"
    told = json.loads(as_json(judged, picked))
    assert told["pick"] == picked.reason and told["builds"][0]["broken_limits"] == ["size 140 MiB > 130 MiB"]
    table = [line for line in as_markdown(judged, picked).splitlines() if line.startswith("|")]
    assert len(table) == 2 + len(ROWS) and len({line.count("|") for line in table}) == 1


@pytest.mark.parametrize("axis", ["size", "speed", "memory"])
def test_the_picture_is_sound_and_names_every_build(axis: str) -> None:
    judged = judge([*ROWS, build("zero <&>", 200, 0.0)], NOTHING, axis)  # type: ignore[arg-type]
    picture = as_svg(judged, pick(judged, NOTHING, axis), axis)  # type: ignore[arg-type]
    texts = [element.text for element in ElementTree.fromstring(picture).iter() if element.text]
    assert all(any(row.label == text for text in texts) for row in ROWS) and "zero <&>" in texts
