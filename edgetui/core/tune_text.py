"""What an autotune measured, as charts and lines: the finals' paired figures first, then what dropped out before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetui.core.charts import Bar, BarChart
from edgetui.core.statistics import median
from edgetui.core.tune_verdict import left_out
from edgetui.core.tuning import DEFAULTS, gain
from edgetui.core.units import counted

if TYPE_CHECKING:
    from edgetui.core.charts import Chart
    from edgetui.core.studies import AbResult, Candidate, TuneResult

_MOST_BARS = 12
_WIDEST = 4
"""Times the greatest ratio: as far as intervals are drawn."""


def finals_of(result: TuneResult) -> tuple[AbResult, ...]:
    """Every comparison with the defaults; the one of a result that an earlier edgetui kept."""
    return result.finals or ((result.final,) if result.final is not None else ())


def tune_charts(result: TuneResult) -> list[Chart]:
    """The finals as the verdict tells them, times the defaults; then the search, which decides nothing."""
    charts: list[Chart] = []
    finals = finals_of(result)
    ratios = [(each.a.label, each.ratio) for each in finals if each.ratio]
    top = _WIDEST * max((ratio.ratio for _, ratio in ratios), default=1.0)
    bars = []
    for label, ratio in ratios:
        # An interval that says nothing is told and not drawn: its scale would flatten every bar.
        low, high = (ratio.low, ratio.high) if ratio.high <= top else (None, None)
        bars.append(Bar(label, ratio.ratio, low, high, f" ({ratio.low:.3g} to {ratio.high:.3g})"))
    if bars:
        bars = sorted([*bars, Bar(DEFAULTS, 1.0)], key=lambda bar: bar.value, reverse=True)
        charts.append(BarChart(f"Finals for {result.goal}, {result.test.name}", "times the defaults", tuple(bars)))
    dropped = left_out(result.candidates, finals)[:_MOST_BARS]
    if dropped:
        searched = tuple(Bar(each.label, gain(each), note=f" (out after {_rounds(each)})") for each in dropped)
        charts.append(BarChart("Dropped out in the search", "times the defaults beside it, in the search", searched))
    if charts:
        return charts
    # Of an edgetui that did not measure the defaults beside each, or where the defaults could not be measured.
    tokens = result.test.computed_tokens
    tried = [each for each in result.candidates if each.samples_ns]
    rates = [Bar(each.label, tokens * 1e9 / median(each.samples_ns), note=f" ({_rounds(each)})") for each in tried]
    rates.sort(key=lambda bar: bar.value, reverse=True)
    title = f"Settings tried for {result.goal}, {result.test.name}"
    return [BarChart(title, "tok/s", tuple(rates[:_MOST_BARS]))] if rates else []


def tune_lines(result: TuneResult) -> list[tuple[str, str]]:
    """The label and the figures of each setting that was measured, those in the finals first."""
    tokens, finals = result.test.computed_tokens, finals_of(result)
    lines = []
    for each in finals:
        if each.ratio is not None:
            other, defaults = each.mean_tps
            told = f"{each.ratio.ratio:.3f}x the defaults ({each.ratio.low:.3f} to {each.ratio.high:.3f})"
            rates = f"means {other:.2f} against {defaults:.2f} tok/s, {len(each.a_ns)} repetitions"
            lines.append((each.a.label, f"final {told}, {rates}"))
    for dropped in left_out(result.candidates, finals):
        lines.append((dropped.label, f"search {gain(dropped):.3f}x the defaults beside it ({_rounds(dropped)})"))
    named = {label for label, _ in lines}
    for rest in result.candidates:
        if rest.samples_ns and rest.label not in named and not rest.problem:
            rate = f"{tokens * 1e9 / median(rest.samples_ns):.2f} tok/s"
            lines.append((rest.label, f"{rate}, {len(rest.samples_ns)} repetitions in the search"))
    return lines


def _rounds(candidate: Candidate) -> str:
    return counted(candidate.rounds, "round")
