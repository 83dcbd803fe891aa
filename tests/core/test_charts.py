"""Charts as text and as SVG: axes, units, marks that read without colour, nothing from outside taken for markup."""

from __future__ import annotations

from itertools import pairwise
from xml.etree import ElementTree

import pytest

from edgetui.core import chart_text
from edgetui.core.bench_charts import curve, curves, soak
from edgetui.core.chart_svg import as_svg
from edgetui.core.chart_text import chart_lines
from edgetui.core.charts import Axis, Bar, BarChart, Chart, LineChart, Series, axes, x_ticks
from edgetui.core.studies import BenchSide, Knee, SoakResult, SoakSample
from tests.core.test_bench_trend import row

BARS = BarChart("tg128", "tok/s", (Bar("one", 50.0, 45.0, 55.0), Bar("two </text> & more", 100.0, note=" !")))
_FIRST = Series("first", ((16.0, 100.0), (64.0, 5000.0), (1024.0, 9000.0)))
_SECOND = Series("second", ((32.0, 3000.0), (1024.0, 3000.0)))
LINES = LineChart("ttft", "prompt tokens", "ms", (_FIRST, _SECOND), x_is_log=True)


def soak_result(knee: Knee | None = None) -> SoakResult:
    samples = tuple(
        SoakSample(at_s=float(s), tps=50.0 if s < 60 else 40.0, temperature_c=40.0 + s / 4, frequency_hz=3.0e9)
        for s in range(1, 120)
    )
    side = BenchSide(model_path="/m", model_name="m", model_format="gguf")
    return SoakResult(
        side=side, duration_s=120, chunk_tokens=8, depth_tokens=0, samples=samples, knee=knee, sentence="It fell."
    )


def test_bars_are_as_long_as_their_values_and_carry_interval_unit_and_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chart_text, "draws_unicode", lambda: False)
    first, second, axis = chart_lines(BARS, 78, 0)
    filled = [line.rindex("#") - line.index("#") + 1 for line in (first, second)]
    assert abs(filled[1] - 2 * filled[0]) <= 2
    assert first.index("[") < first.index("]") and "[" not in second
    assert second.endswith("100.00 !") and "100 tok/s" in axis and "95 % interval" in axis
    assert all(len(line) <= 78 and line.isascii() for line in (first, second, axis))


@pytest.mark.parametrize(("width", "rows"), [(78, 14), (40, 8), (196, 40), (24, 3)])
def test_lines_have_axes_units_and_a_mark_a_series(width: int, rows: int) -> None:
    lines = chart_lines(LINES, width, rows)
    text = "\n".join(lines)
    assert "ttft, ms" in text and "* first  o second" in text
    assert "prompt tokens" in text or width < 30
    field = [line for line in lines if line[8:10] in (" |", " +") and "prompt" not in line]
    assert sum(line.count("*") for line in field) == 3 and sum(line.count("o") for line in field) == 2
    assert all(len(line) <= width or line in lines[:2] for line in lines)


def test_a_higher_value_stands_higher() -> None:
    lines = chart_lines(LineChart("t", "x", "y", (Series("a", ((1.0, 10.0), (2.0, 20.0))),)), 60, 12)
    places = {line.index("*"): number for number, line in enumerate(lines) if "*" in line and number > 1}
    (left, low), (right, high) = sorted(places.items())
    assert left < right and high < low


@pytest.mark.parametrize("values", [[5.0], [0.0, 0.0], [1e-9, 1e9], [100.0, 100.1], [-5.0, 5.0]])
def test_every_value_lies_on_an_axis_with_ticks(values: list[float]) -> None:
    axis = Axis(values, 100.0)
    assert all(0 <= axis.place(value) <= 100 for value in values)
    assert 1 <= len(axis.ticks(6)) <= 6


def test_times_of_a_soak_stand_at_round_ticks_and_measured_lengths_at_themselves() -> None:
    measured = LineChart("t", "seconds", "y", (Series("a", ((1.01709, 1.0), (6.4451, 2.0), (12.6751, 3.0))),))
    found = axes(measured, 60, 10)
    assert found is not None
    assert all(len(word) <= 4 for _, word in x_ticks(measured, found[0], 6)) and x_ticks(measured, found[0], 6)
    lengths = LineChart("t", "tokens", "y", (Series("a", ((16.0, 1.0), (1031.0, 2.0))),))
    found = axes(lengths, 60, 10)
    assert found is not None and [word for _, word in x_ticks(lengths, found[0], 6)] == ["16", "1031"]


def test_nothing_to_draw_is_said() -> None:
    assert "Nothing to draw" in chart_lines(LineChart("t", "x", "y", ()), 60, 10)[-1]


def test_svg_tells_every_label_whole_on_lines_that_fit_beside_its_bar() -> None:
    long = "DeepSeek-R1-Distill-Qwen-1.5B-GGUF-of-somebody.Q4_K_M 2 threads, KV f16, llama.cpp 0.3.36, by edgetui, Q4_1"
    picture = ElementTree.fromstring(as_svg(BarChart("tg16", "tok/s", (Bar(long, 5.0), Bar("short", 3.0)))))
    named = "{http://www.w3.org/2000/svg}"
    lines = [each for each in picture.iter(f"{named}text") if each.get("text-anchor") == "end"]
    told = [str(each.text) for each in lines]
    assert "".join(told[:-1]).replace(" ", "") == long.replace(" ", "") and told[-1] == "short"
    assert len(told) == 4 and all(len(text) <= 44 for text in told)
    heights = [float(each.get("y", "")) for each in lines]
    assert all(after - before >= 14 for before, after in pairwise(heights))
    first, second = (
        float(each.get("y", "")) for each in picture.iter(f"{named}rect") if "bar" in each.get("class", "")
    )
    assert heights[0] < first + 11 < heights[2] < second < heights[3] < second + 22


@pytest.mark.parametrize("chart", [BARS, LINES, LineChart("t", "x", "y", ()), *soak(soak_result())])
def test_svg_is_whole_without_scripts_or_anything_from_outside(chart: Chart) -> None:
    text = as_svg(chart)
    ElementTree.fromstring(text)
    assert "prefers-color-scheme: dark" in text
    assert "<script" not in text and "href" not in text and "url(" not in text and text.count("http") == 1


def test_a_soak_has_its_series_on_one_time_axis_with_the_knee() -> None:
    charts = soak(soak_result(Knee(at_s=60.0, before_tps=50.0, after_tps=40.0)))
    assert [chart.y_label for chart in charts if isinstance(chart, LineChart)] == [
        "decode, tok/s",
        "temperature, C",
        "frequency, GHz",
    ]
    for chart in charts:
        assert "knee" in "\n".join(chart_lines(chart, 78, 12))
        assert "knee" in as_svg(chart)


def test_curves_come_out_of_the_history() -> None:
    lengths = [row(number, [100 * number], test="pp", tokens=16 * number) for number in (1, 2, 3)]
    found = curve(lengths[0], lengths)
    assert found is not None and found.y_label == "ms"
    assert found.series[0].points == ((16.0, 100.0), (32.0, 200.0), (48.0, 300.0))
    threads = [row(number, [100], threads=number) for number in (1, 2)]
    found = curve(threads[0], threads)
    assert found is not None and found.x_label == "threads" and len(found.series[0].points) == 2
    assert curve(threads[0], threads[:1]) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"flash_attention": "off"},
        {"kv_cache_type_v": "q8_0"},
        {"physical_batch_tokens": 128},
        {"gpu_layers": 0},
        {"use_mmap": False},
        {"model_quant_type": "Q8_0"},
        {"other_columns": (("no_kv_offload", "1"),)},
    ],
)
def test_no_curve_has_rows_of_two_settings(changes: dict[str, object]) -> None:
    base = {"flash_attention": "on", "physical_batch_tokens": 512, "gpu_layers": -1, "use_mmap": True}
    mine = [row(threads, [100 // threads], threads=threads, **base) for threads in (1, 2)]
    other = [row(2 + threads, [300 // threads], threads=threads, **{**base, **changes}) for threads in (1, 2)]
    records = [other[1], mine[0], other[0], mine[1]]
    found = curve(mine[0], records)
    assert found is not None and found.series[0].points == ((1.0, 1000.0), (2.0, 2000.0))
    assert [each.record_id for each, _ in curves(records)] == [4, 1]
