"""Settings that come of the Bench screen's dialogs, and studies as lines and charts."""

from __future__ import annotations

import pytest

from edgetui.core.bench import BenchSettings, BenchTest, Machine
from edgetui.core.bench_forms import AbForm, LoadForm, MatrixForm, SoakForm
from edgetui.core.charts import BarChart, LineChart
from edgetui.core.failures import EdgetuiError
from edgetui.core.server_load import Percentiles, ServerBenchSettings, ServerLoadResult, ServerLoadRow
from edgetui.core.servers import ServerEndpoint
from edgetui.core.studies import AS_A_CHAT, AbResult, BenchSide, LoadTime, LoadTimesResult, Study
from edgetui.core.study_text import models_of, study_charts, study_line
from tests.core.test_charts import soak_result

SIDE = BenchSide(model_path="/m", model_name="m", model_format="gguf", label="A")


def test_lists_become_every_combination() -> None:
    form = MatrixForm(prompt_tokens="0", generated_tokens="8 16", threads="1,2", kv_cache_type="f16, q8_0")
    cells = form.matrix().cells()
    assert {(cell.threads, cell.kv_cache_type) for cell in cells} == {(n, kv) for n in (1, 2) for kv in ("f16", "q8_0")}
    assert all(cell.tests == (BenchTest(0, 8), BenchTest(0, 16)) for cell in cells)


def test_a_word_that_no_setting_has_is_named() -> None:
    with pytest.raises(EdgetuiError, match="values for kv cache type cannot be used"):
        MatrixForm(kv_cache_type="f16 q9").matrix()


def test_lists_of_a_matrix_say_where_weights_lie() -> None:
    cells = MatrixForm(use_mmap="true, auto false", huge_pages="false,true").matrix().cells()
    assert {(cell.use_mmap, cell.huge_pages) for cell in cells} == {
        (mapped, huge) for mapped in (True, None, False) for huge in (False, True)
    }
    with pytest.raises(EdgetuiError, match="values for use mmap cannot be used"):
        MatrixForm(use_mmap="on").matrix()


def test_where_weights_lie_tells_sides_and_loads_apart() -> None:
    form = AbForm(use_mmap_a=None, huge_pages_a=True)
    assert (form.differing("a"), form.differing("b")) == (
        "mmap by the memory, huge pages on",
        "mmap on, huge pages off",
    )
    assert form.side("a") == AS_A_CHAT and form.side("b") == BenchSettings()
    assert LoadForm(use_mmap=False, huge_pages=True).settings.settings == BenchSettings(use_mmap=False, huge_pages=True)


def test_sides_are_named_by_what_differs() -> None:
    form = AbForm(threads_a=1, threads_b=2, kv_cache_type_b="q8_0")
    assert (form.differing("a"), form.differing("b")) == ("1 thread, KV f16", "2 threads, KV q8_0")
    assert form.side("b") == BenchSettings(threads=2, kv_cache_type="q8_0")
    assert SoakForm(threads=3).settings.settings.threads == 3


def test_studies_have_a_line_and_charts() -> None:
    study = Study(study_id=1, job_id=None, measured_at=0.0, machine=Machine(), result=soak_result())
    assert "soak 120 s  m: It fell." in study_line(study)
    ab = AbResult(
        a=SIDE, b=SIDE, test=BenchTest(0, 10), a_ns=(10**9, 10**9), b_ns=(2 * 10**9,) * 2, ratio=None, seed=0,
        reloaded=False, conditions=None, sentence="",
    )  # fmt: skip
    (chart,) = study_charts(ab)
    assert isinstance(chart, BarChart) and [bar.value for bar in chart.bars] == [10.0, 5.0] and models_of(ab) == ("m",)
    load = LoadTimesResult(side=SIDE, size_bytes=1, cold=(), warm=(LoadTime(1.0, 0.5, None),), sentence="")
    (chart,) = study_charts(load)
    assert isinstance(chart, BarChart) and [(bar.label, bar.value) for bar in chart.bars] == [("warm", 1.5)]


def test_the_load_of_a_server_is_drawn_over_the_conversations_at_once() -> None:
    levels = [
        ServerLoadRow(
            concurrency=count, requests=2, failed=0, problem="", prompt_tokens=64, generated_tokens=100 * count,
            is_counted_here=False, wall_s=2.0, ttft_s=Percentiles(0.1 * count, 0.2, 0.3), itl_s=None,
            decode_tps=50.0, network_s=None,
        )
        for count in (1, 2, 4)
    ]  # fmt: skip
    endpoint = ServerEndpoint(name="s", url="http://secret-host:8080")
    load = ServerLoadResult(
        endpoint=endpoint, server="", model="m", settings=ServerBenchSettings(), rows=tuple(levels), load_average=None,
        sentence="",
    )  # fmt: skip
    rates, times = study_charts(load)
    assert isinstance(rates, LineChart) and isinstance(times, LineChart)
    assert rates.series[0].points == ((1.0, 50.0), (2.0, 100.0), (4.0, 200.0))
    assert times.series[0].points[0] == (1.0, 100.0) and times.y_label == "ms"
