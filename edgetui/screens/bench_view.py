"""What the lower part of the Bench screen shows of the history: sentences and a chart for each view."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from edgetui.core import bench_charts
from edgetui.core.bench import BenchSettings, labels
from edgetui.core.bench_comparison import compare_all
from edgetui.core.bench_matrix import told_setting
from edgetui.core.bench_trend import judge, trend_of
from edgetui.core.server_load_form import ServerLoadForm
from edgetui.core.server_load_text import load_asked
from edgetui.core.units import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    import msgspec

    from edgetui.core.bench import BenchRecord
    from edgetui.core.charts import Chart
    from edgetui.core.studies import Study

View = Literal["bars", "curve", "trend", "version"]
MOST_BARS = 6


class Shown(NamedTuple):
    """Sentences above, the chart below them."""

    sentences: tuple[str, ...]
    chart: Chart | None = None


def setup(form: msgspec.Struct) -> str:
    """What enter measures, on one line."""
    if isinstance(form, ServerLoadForm):
        return f"{form.concurrency} at once  {load_asked(form)}"
    assert isinstance(form, BenchSettings), "nothing else is measured without being chosen"
    threads = str(form.threads) if form.threads else "one a core"
    repetitions = f"{counted(form.repetitions, 'repetition')}{' or more' if form.until_percent else ''}"
    told = [
        f"pp {form.prompt_tokens}  tg {form.generated_tokens}  {repetitions}  threads {threads}"
        f"  batch {form.batch_tokens}  KV {form.kv_cache_type}"
    ]
    # Of the rest what is not as usual.
    usual = BenchSettings()
    told += [
        words
        for name, words in (
            ("depth_tokens", f"depth {form.depth_tokens}"),
            ("until_percent", f"until {form.until_percent:g} %"),
            ("budget_s", f"budget {form.budget_s:g} s"),
            ("flash_attention", f"flash attention {form.flash_attention}"),
            ("gpu_layers", f"GPU layers {form.gpu_layers}"),
            ("use_mmap", told_setting("use_mmap", form.use_mmap)),
            ("huge_pages", told_setting("huge_pages", form.huge_pages)),
        )
        if getattr(form, name) != getattr(usual, name)
    ]
    return "  ".join(told)


def followed(current: BenchRecord, same_test: Sequence[BenchRecord], over: bench_charts.Over) -> Shown:
    """The row over time, and whether the newest of its kind is slower."""
    trend = trend_of(current, same_test)
    judged = judge(trend)
    sentence = "This is the only row of its kind." if judged is None else judged.sentence
    return Shown((sentence,), bench_charts.trend(trend, over))


def curve(current: BenchRecord, records: Sequence[BenchRecord]) -> Shown:
    """The curve that the row is a point of."""
    chart = bench_charts.curve(current, records)
    if chart is None:
        return Shown(("No other length, depth or number of threads was measured with these settings.",))
    return Shown((), chart)


def bars(
    current: BenchRecord, marked: Sequence[BenchRecord], same_test: Sequence[BenchRecord], comparison: Sequence[str]
) -> Shown:
    """The marked rows where they compare; else the newest row of each model for the test under the cursor."""
    if len(marked) > 1 and len({record.row.name for record in marked}) == 1:
        hint = f"{marked[0].row.name}: press c to compare the {len(marked)} marked rows."
        return Shown(tuple(comparison) or (hint,), bench_charts.compared(marked[:MOST_BARS]))
    newest: dict[str, BenchRecord] = {}
    for record in same_test:
        newest.setdefault(record.row.model_name, record)
    title = f"{current.row.name}, newest row of each model, tok/s"
    return Shown((title,), bench_charts.compared(list(newest.values())[:MOST_BARS]))


def comparison_of(records: Sequence[BenchRecord], studies: Sequence[Study]) -> tuple[str, ...]:
    """Each row held against the first, in pairs where an A/B of `studies` measured both; raises
    `EdgetuiError("bad_request")`."""
    compared = compare_all(records, studies)
    names = labels(records)
    told = [comparison.sentence for comparison in compared]
    if len(records) > 2:
        told = [f"{name} against {names[0]}: {sentence}" for name, sentence in zip(names[1:], told, strict=True)]
    return tuple(told)
