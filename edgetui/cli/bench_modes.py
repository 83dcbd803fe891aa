"""The studies of `edgetui bench`: soak, A/B, TTFT, load times; and how autotune prints what it found."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from edgetui.core.failures import EdgetuiError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence

    from edgetui.core.bench import BenchSettings
    from edgetui.core.bench_matrix import Matrix
    from edgetui.core.jobs import JobRecord
    from edgetui.core.models import ModelEntry
    from edgetui.core.studies import AbSettings, EnergyUse, StudyResult
    from edgetui.services.lab import Lab


async def follow_study(start: Callable[[Lab], Awaitable[JobRecord]], as_json: bool) -> int:
    """Start a study in a job, follow it to its end and print what it found; Ctrl-C cancels it."""
    from edgetui.cli.follow import start_and_follow
    from edgetui.services.lab import Lab

    lab = Lab()
    found: list[str] = []

    async def begin() -> JobRecord:
        record = await start(lab)
        found.append(record.job_id)
        return record

    try:
        status = await start_and_follow(lab, begin, detach=False, as_json=as_json, show=lambda record: None)
        studies = [study for study in await lab.bench.studies() if found and study.job_id == found[0]]
        # Of one that was interrupted there may be a part.
        if status == 0 or studies:
            print_study(studies[0].result, as_json)
        return status
    finally:
        await lab.close()


def soak(
    model: str, duration_s: float, settings: BenchSettings, depth: int, sample_s: float, as_json: bool
) -> Coroutine[None, None, int]:
    """`--soak 5m`."""
    from edgetui.core.setting_values import converted
    from edgetui.core.studies import SoakSettings

    wanted = converted(
        {"duration_s": duration_s, "depth_tokens": depth, "sample_s": sample_s, "settings": settings}, SoakSettings
    )

    async def start(lab: Lab) -> JobRecord:
        return await lab.bench.start_soak(await lab.catalog.find(model), wanted)

    return follow_study(start, as_json)


def load_time(model: str, repetitions: int, settings: BenchSettings, as_json: bool) -> Coroutine[None, None, int]:
    """`--load-time`."""
    from edgetui.core.setting_values import converted
    from edgetui.core.studies import LoadTimeSettings

    wanted = converted({"repetitions": repetitions, "settings": settings}, LoadTimeSettings)

    async def start(lab: Lab) -> JobRecord:
        return await lab.bench.start_load_times(await lab.catalog.find(model), wanted)

    return follow_study(start, as_json)


def ab(
    models: Sequence[str], settings: tuple[BenchSettings, BenchSettings], wanted: AbSettings, as_json: bool
) -> Coroutine[None, None, int]:
    """`--ab`: two models, or one with two settings."""
    from edgetui.core.bench_matrix import cell_labels, path_labels

    if not 1 <= len(models) <= 2:
        raise EdgetuiError("bad_request", "--ab compares two models, or one with two settings (--a and --b).")

    async def start(lab: Lab) -> JobRecord:
        from edgetui.services.bench import side_of

        entries: list[ModelEntry] = [await lab.catalog.find(name) for name in models]
        entries *= 3 - len(entries)
        labels = cell_labels([(entry.name, each) for entry, each in zip(entries, settings, strict=True)])
        if labels[0] == labels[1]:
            labels = [*path_labels(entries[0].path, entries[1].path)]
        a, b = (side_of(*each) for each in zip(entries, settings, labels, strict=True))
        return await lab.bench.start_ab(a, b, wanted)

    return follow_study(start, as_json)


def ab_settings(matrix: Matrix) -> AbSettings:
    """The first test of the matrix that has tokens, a decode before a prefill; `-r` are the blocks, at least two."""
    from edgetui.core.setting_values import converted
    from edgetui.core.studies import AbSettings

    tests = sorted(matrix.tests(), key=lambda test: ("pg", "tg", "pp").index(test.kind))
    if not tests:
        raise EdgetuiError("bad_request", "There is nothing to measure: ask for prompt tokens or generated tokens.")
    return converted(
        {
            "test": tests[0],
            "blocks": max(2, matrix.repetitions),
            "until_percent": matrix.until_percent,
            "budget_s": matrix.budget_s,
        },
        AbSettings,
    )


def ttft_matrix(matrix: Matrix) -> Matrix:
    """The matrix with prompts of growing lengths up to its longest, and nothing generated.

    The time of a prompt's prefill is the time to its first token, but for choosing that one.
    """
    import msgspec

    from edgetui.core.bench_matrix import ttft_lengths

    longest = max(matrix.prompt_tokens, default=0)
    if not longest:
        raise EdgetuiError("bad_request", "--ttft needs the longest prompt, such as -p 2048.")
    return msgspec.structs.replace(
        matrix, prompt_tokens=ttft_lengths(longest), generated_tokens=(), prompt_and_generated=()
    )


def print_study(result: StudyResult, as_json: bool) -> None:
    """What was found, as lines or as JSON."""
    if as_json:
        import msgspec

        from edgetui.cli.follow import print_json

        print_json(msgspec.to_builtins(result))
        return
    for line in _lines(result):
        print(line)
    print(result.sentence)


def _lines(result: StudyResult) -> list[str]:
    """The figures before the sentence."""
    from edgetui.core.bench_noise import conditions_text
    from edgetui.core.studies import AbResult, LoadTimesResult, SoakResult, TuneResult
    from edgetui.core.study_text import ab_lines, energy_lines

    if isinstance(result, SoakResult):
        has_power = any(sample.watts is not None for sample in result.samples)
        head = "  at s    tok/s     C   GHz  others" + ("       W" if has_power else "")
        lines = [head, *(_sample_line(sample, has_power) for sample in result.samples)]
        return lines + [f"energy: {told}" for told in energy_lines(result)]
    if isinstance(result, LoadTimesResult):
        return [
            f"{name}: {load.seconds:.3f} s to load, {load.first_token_s:.3f} s more to the first token"
            + ("" if load.cached_share is None else f", {load.cached_share:.0%} of the file in memory before")
            for name, loads in (("cold", result.cold), ("warm", result.warm))
            for load in loads
        ]
    if isinstance(result, TuneResult):
        from edgetui.core.tune_text import tune_lines

        energies = {each.label: each.energy for each in result.candidates}
        lines = [
            f"{label}: {told}{_after(energies[label]) if label in energies else ''}"
            for label, told in tune_lines(result)
        ]
        lines += [f"{each.label}: failed: {each.problem}" for each in result.candidates if each.problem]
        if left := sum(1 for each in result.candidates if not each.samples_ns and not each.problem):
            print(f"edgetui: The budget left {left} further settings untried.", file=sys.stderr)
        return lines
    if not isinstance(result, AbResult):
        return []
    if result.conditions is not None:
        print(f"edgetui: Meanwhile {conditions_text(result.conditions)}.", file=sys.stderr)
    both = (result.a_energy, result.b_energy)
    return [f"{told}{_after(energy)}" for told, energy in zip(ab_lines(result), both, strict=True)]


def _after(energy: EnergyUse) -> str:
    from edgetui.core.study_text import energy_words

    told = energy_words(energy)
    return f", {told}" if told else ""


def _sample_line(sample: object, has_power: bool) -> str:
    from edgetui.core.studies import SoakSample

    assert isinstance(sample, SoakSample)
    celsius = "-" if sample.temperature_c is None else f"{sample.temperature_c:.0f}"
    clock = "-" if sample.frequency_hz is None else f"{sample.frequency_hz / 1e9:.2f}"
    others = "-" if sample.others_share is None else f"{sample.others_share:.0%}"
    held = f"  {', '.join(sample.throttled)}" if sample.throttled else ""
    power = f" {'-' if sample.watts is None else f'{sample.watts:.1f}':>7}" if has_power else ""
    return f"{sample.at_s:6.1f} {sample.tps:8.2f} {celsius:>5} {clock:>5} {others:>7}{power}{held}"
