"""What soaks, A/B comparisons, autotunes, load times and loads of servers found, as lines and charts."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from edgetui.core import bench_charts
from edgetui.core.charts import Bar, BarChart, LineChart, Series
from edgetui.core.plain_text import plain_line
from edgetui.core.statistics import interval_share, mean
from edgetui.core.studies import AbResult, LoadTimesResult, SoakResult, TuneResult
from edgetui.core.tune_text import tune_charts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetui.core.charts import Chart
    from edgetui.core.server_load import ServerLoadResult
    from edgetui.core.studies import EnergyUse, Study, StudyResult


def models_of(result: StudyResult) -> tuple[str, ...]:
    """Names of the models that it is about."""
    if isinstance(result, AbResult):
        return tuple(dict.fromkeys((result.a.model_name, result.b.model_name)))
    if isinstance(result, SoakResult | TuneResult | LoadTimesResult):
        return (result.side.model_name,)
    return (result.model,)


def subjects_of(result: StudyResult) -> tuple[str, ...]:
    """What a person calls what it is about: models, or a server, which may call its model by a path of its own."""
    if isinstance(result, SoakResult | AbResult | TuneResult | LoadTimesResult):
        return models_of(result)
    return (result.endpoint.name,)


def kind_of(result: StudyResult) -> str:
    """What it is called."""
    if isinstance(result, SoakResult):
        return f"soak {bench_charts.soak_length(result)}"
    if isinstance(result, AbResult):
        return f"A/B {result.test.name}"
    if isinstance(result, TuneResult):
        return f"autotune {result.goal}"
    return "load times" if isinstance(result, LoadTimesResult) else "load test"


def study_line(study: Study) -> str:
    """When, what and what came out, on one line."""
    at = time.strftime("%Y-%m-%d %H:%M", time.localtime(study.measured_at))
    return plain_line(
        f"{at}  {kind_of(study.result)}  {' | '.join(subjects_of(study.result))}: {study.result.sentence}"
    )


def ab_lines(result: AbResult) -> list[str]:
    """The mean rate of each side, which its row and the chart have too."""
    return [
        f"{label}: mean {rate:.2f} tok/s, {result.test.name}, {len(samples)} repetitions"
        for (label, samples), rate in zip(_sides(result), result.mean_tps, strict=True)
    ]


def _sides(result: AbResult) -> tuple[tuple[str, tuple[int, ...]], tuple[str, tuple[int, ...]]]:
    """Label and repetitions of A and of B."""
    return (result.a.label or "A", result.a_ns), (result.b.label or "B", result.b_ns)


def study_charts(result: StudyResult) -> list[Chart]:
    """Charts of a result, the most telling first."""
    if isinstance(result, SoakResult):
        return bench_charts.soak(result)
    if isinstance(result, AbResult):
        tokens = result.test.computed_tokens
        sides = _sides(result)
        bars = [_bar(label, _rates(tokens, samples)) for label, samples in sides if samples]
        energies = [(sides[0][0], result.a_energy), (sides[1][0], result.b_energy)]
        return [BarChart(f"A/B {result.test.name}", bench_charts.MEAN_RATE, tuple(bars)), *_energy_chart(energies)]
    if isinstance(result, TuneResult):
        return [*tune_charts(result), *_energy_chart([(each.label, each.energy) for each in result.candidates])]
    if isinstance(result, LoadTimesResult):
        parts = (("cold", result.cold), ("warm", result.warm))
        bars = [_bar(name, [load.seconds + load.first_token_s for load in loads]) for name, loads in parts if loads]
        return [BarChart("Load up to the first token", "s", tuple(bars))]
    return _server_charts(result)


def energy_lines(result: StudyResult) -> list[str]:
    """Energy of each part of a result that has one measured."""
    if isinstance(result, SoakResult):
        parts = [("", result.energy)]
    elif isinstance(result, AbResult):
        parts = [(f"{result.a.label or 'A'}: ", result.a_energy), (f"{result.b.label or 'B'}: ", result.b_energy)]
    elif isinstance(result, TuneResult):
        parts = [(f"{each.label}: ", each.energy) for each in result.candidates]
    else:
        parts = []
    return [plain_line(f"{name}{told}") for name, use in parts if (told := energy_words(use))]


def energy_words(use: EnergyUse) -> str:
    """`0.212 J/token (package-0; 3.1 W at rest)`; empty where no meter could be read."""
    joules = use.joules_per_token
    if joules is None:
        return ""
    rest = "" if use.rest_w is None else f"; {use.rest_w:.3g} W at rest"
    return plain_line(f"{joules:.3g} J/token ({use.meter}{rest})")


def _energy_chart(parts: Sequence[tuple[str, EnergyUse]]) -> list[Chart]:
    bars = [Bar(label, use.joules_per_token) for label, use in parts if use.joules_per_token is not None]
    return [BarChart("Energy", "J/token", tuple(bars))] if bars else []


def _server_charts(result: ServerLoadResult) -> list[Chart]:
    """Rates and the time to the first token against the number of conversations at once."""
    together = tuple((float(row.concurrency), row.output_tps) for row in result.rows if row.output_tps)
    each = tuple((float(row.concurrency), row.decode_tps) for row in result.rows if row.decode_tps)
    first = tuple((float(row.concurrency), 1000 * row.ttft_s.p50) for row in result.rows if row.ttft_s)
    last = tuple((float(row.concurrency), 1000 * row.ttft_s.p95) for row in result.rows if row.ttft_s)
    x_label = "conversations at once"
    rates = (Series("all together", together), Series("each", each))
    times = (Series("p50", first), Series("p95", last))
    return [
        LineChart(f"{result.endpoint.name}: rate", x_label, "tok/s", rates),
        LineChart("time to the first token", x_label, "ms", times),
    ]


def _bar(label: str, values: Sequence[float]) -> Bar:
    middle, share = mean(values), interval_share(values)
    low, high = (None, None) if share is None else (max(0.0, middle * (1 - share)), middle * (1 + share))
    return Bar(label, middle, low, high)


def _rates(tokens: int, samples_ns: Sequence[int]) -> list[float]:
    return [tokens * 1e9 / ns for ns in samples_ns]
