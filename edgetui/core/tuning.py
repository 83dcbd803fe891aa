"""What an autotune tries: settings near the defaults, by what each can change in a test; and which of them go on."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import msgspec

from edgetui.core.bench import BenchSettings, BenchTest
from edgetui.core.bench_matrix import told_setting
from edgetui.core.run_settings import LoadSettings
from edgetui.core.statistics import median
from edgetui.core.studies import Candidate
from edgetui.core.units import format_duration

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from edgetui.core.models import ModelFormat
    from edgetui.core.studies import Goal

DECODED_TOKENS = 32
"""Of a short test: long enough for a mean over tokens, short enough for many candidates."""
PREFILLED_TOKENS = 256
LONG_PREFILLED_TOKENS = 1024
"""Of a test in which each of `UBATCHES` is other work, where the budget has time for it."""
UBATCHES = (128, 256, 1024)
"""Beside the usual 512, as far as a prompt is long enough to fill them."""
DEFAULTS = "defaults"
LEAST_FINALISTS = 2
"""Beside the defaults: one lucky sample must not decide alone."""


def test_for(goal: Goal, depth_tokens: int, *, is_long: bool = False) -> BenchTest:
    """The short test that stands for a goal, or the long one of a prefill."""
    if goal == "decode":
        return BenchTest(generated_tokens=DECODED_TOKENS, depth_tokens=depth_tokens)
    return BenchTest(prompt_tokens=LONG_PREFILLED_TOKENS if is_long else PREFILLED_TOKENS, depth_tokens=depth_tokens)


def thread_counts(physical: int, logical: int) -> tuple[int, ...]:
    """Counts worth trying beside one a physical core, the likeliest first: all logical, one less, half, one."""
    likely = (logical, physical - 1, physical // 2, logical - 1, 1)
    return tuple(dict.fromkeys(count for count in likely if count >= 1 and count != physical))


def candidates(
    start: BenchSettings,
    test: BenchTest,
    model_format: ModelFormat,
    *,
    physical: int,
    logical: int,
    has_accelerator: bool,
    allow_kv_types: bool,
) -> list[Candidate]:
    """The defaults first, then combinations that differ in few settings before those that differ in many.

    Of physical batches that the test's prompt does not fill, which are all the same work, there is one.
    ONNX's runtime takes threads alone, mlx on a processor nothing. Settings that the person has fixed to something
    else than the default are still varied: the start is what a proposal must beat. Its `use_mmap` is what it came to.
    """
    axes: list[tuple[str, tuple[object, ...]]] = []
    if model_format != "mlx":
        given = start.threads or physical
        counts = [physical, *thread_counts(physical, logical)]
        axes.append(("threads", tuple(count for count in counts if count != given)))
    if model_format == "gguf":
        axes.append(("flash_attention", tuple(value for value in ("on", "off") if value != start.flash_attention)))
        if test.prompt_tokens:
            sizes = (start.physical_batch_tokens, 512, *UBATCHES)
            work: dict[int, int] = {}
            for size in sizes:
                work.setdefault(min(size, start.batch_tokens, test.prompt_tokens), size)
            axes.append(("physical_batch_tokens", tuple(work.values())[1:]))
        axes.append(("use_mmap", (not start.use_mmap,)))
        if allow_kv_types:
            axes.append(("kv_cache_type", tuple(value for value in ("f16", "q8_0") if value != start.kv_cache_type)))
        if has_accelerator:
            axes.append(("gpu_layers", (0,) if start.gpu_layers else (-1,)))
    found = [Candidate(label=DEFAULTS, settings=start)]
    for count in range(1, 3):
        for chosen in itertools.combinations(axes, count):
            names = [name for name, _ in chosen]
            for values in itertools.product(*(values for _, values in chosen)):
                changes = dict(zip(names, values, strict=True))
                found.append(
                    Candidate(
                        label=", ".join(told_setting(name, value) for name, value in changes.items()),
                        settings=msgspec.structs.replace(start, **changes),
                    )
                )
    return found


def profile_load(
    best: BenchSettings,
    start: BenchSettings,
    goal: Goal,
    model_format: ModelFormat,
    *,
    default_threads: int,
    is_mapped: bool | None = None,
) -> LoadSettings:
    """The best settings as a profile loads them: threads for what was measured, and for the rest as before.

    `is_mapped` is what the start's `use_mmap` came to: where it is best too, the profile leaves it as open.

    llama.cpp has threads of their own for decode and for prefill; ONNX's runtime has one number for both. A batch that
    is llama-bench's default is a chat's own, or as large as what is computed together.
    """
    threads, threads_prefill = best.threads, 0
    if model_format == "gguf" and goal == "decode" and best.threads != start.threads:
        threads_prefill = start.threads or default_threads
    if model_format == "gguf" and goal == "prefill" and (best.threads != start.threads or not start.threads):
        threads, threads_prefill = start.threads, best.threads or default_threads
    together, batch = best.physical_batch_tokens, best.batch_tokens
    if batch == BenchSettings().batch_tokens:
        batch = max(LoadSettings().batch_tokens, together)
    return LoadSettings(
        batch_tokens=batch,
        physical_batch_tokens=together if together < batch else 0,
        threads=threads,
        threads_prefill=threads_prefill,
        kv_cache_type=best.kv_cache_type,
        kv_cache_type_v=best.kv_cache_type_v,
        flash_attention=best.flash_attention,
        gpu_layers=best.gpu_layers,
        use_mmap=start.use_mmap if best.use_mmap == is_mapped else best.use_mmap,
        huge_pages=start.huge_pages,
    )


def profile_load_fields(
    best: BenchSettings,
    start: BenchSettings,
    goal: Goal,
    model_format: ModelFormat,
    *,
    has_accelerator: bool,
    allow_kv_types: bool,
) -> tuple[str, ...]:
    """Fields of `profile_load` that the search varied, or about which the start says something of its own.

    The others are the person's: threads of a decode are none of a prefill's, where the engine has both.
    """
    if model_format != "gguf":
        return ("threads",)
    if goal == "decode":
        # Without their own number, threads of a prefill would follow those that a decode wants.
        fields = ["threads", *(["threads_prefill"] if best.threads != start.threads else [])]
    else:
        fields = [*(["threads"] if start.threads else []), "threads_prefill"]
    fields += ["flash_attention", "use_mmap", "huge_pages"]
    plain = BenchSettings()

    def is_said(*names: str) -> bool:
        return any(getattr(start, name) != getattr(plain, name) for name in names)

    if has_accelerator or is_said("gpu_layers"):
        fields.append("gpu_layers")
    for names, is_varied in (
        (("batch_tokens", "physical_batch_tokens"), goal == "prefill"),
        (("kv_cache_type", "kv_cache_type_v"), allow_kv_types),
    ):
        if is_varied or is_said(*names):
            fields += names
    return tuple(fields)


def gain(candidate: Candidate) -> float:
    """How many times faster than the defaults right beside it, by the median of the pairs; there must be one."""
    return median([ours / own for ours, own in zip(candidate.defaults_ns, candidate.samples_ns, strict=True)])


def ranked(measured: Sequence[Candidate]) -> list[Candidate]:
    """Those that were measured, the furthest first and of those the fastest; that have failed are out.

    By gain where the defaults were measured beside them, so that a quiet moment favours none; else by time.
    """
    alive = [each for each in measured if each.samples_ns and not each.problem]
    return sorted(alive, key=lambda each: (-each.rounds, -_merit(each)))


def finalists(measured: Sequence[Candidate], alive: Collection[str]) -> list[Candidate]:
    """Whom to compare with the defaults, in turn: those still alive (labels) by gain, then the others as `ranked`.

    Of those alive, a round that the budget let only some of them have puts none ahead.
    """
    found = ranked(measured)
    return sorted(found, key=lambda each: (0, -_merit(each)) if each.label in alive else (1, 0.0))


def better_half(measured: Sequence[Candidate]) -> list[Candidate]:
    """Of candidates of one round the faster half, rounded up, but at least `LEAST_FINALISTS`, as far as there are."""
    alive = ranked(measured)
    return alive[: max(LEAST_FINALISTS, (len(alive) + 1) // 2)]


def nothing_else(others: Sequence[Candidate], goal: Goal, budget_s: float, wanted_s: float) -> str:
    """Why none of the candidates beside the defaults has a figure; `wanted_s` is the budget that some of them need."""
    if not others:
        return f"The defaults stay for {goal}: this engine has no other settings to try."
    if failed := next((each for each in others if each.problem), None):
        return f"The defaults stay for {goal}: {failed.label} could not be measured ({failed.problem})."
    return (
        f"The budget of {format_duration(budget_s)} was too short to try any other setting for {goal}: a budget of"
        f" {format_duration(math.ceil(wanted_s))} would do."
    )


def _merit(candidate: Candidate) -> float:
    return gain(candidate) if candidate.defaults_ns else 1 / median(candidate.samples_ns)
