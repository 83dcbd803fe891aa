"""The workloads of the Bench screen: which there are, what each asks for, and how it is started."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from edgetui.core.bench import BenchSettings
from edgetui.core.bench_forms import AbForm, LoadForm, MatrixForm, SoakForm, TtftForm, TuneForm
from edgetui.core.bench_matrix import path_labels, ttft_lengths
from edgetui.core.failures import EdgetuiError
from edgetui.core.run_settings import KV_CACHE_TYPES
from edgetui.core.server_load_form import ServerLoadForm
from edgetui.screens.fields_dialog import Field, FieldError, FieldsDialog
from edgetui.services.bench import side_of
from edgetui.services.hardware.thread_limits import require_threads

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from edgetui.core.jobs import JobRecord
    from edgetui.core.models import ModelEntry
    from edgetui.core.server_load import ServerBenchSettings
    from edgetui.screens.base import LabScreen

_KV = " ".join(KV_CACHE_TYPES)
_THREADS = ("threads", "Threads", "0: one a physical core")
_KV_LINE = ("kv_cache_type", "KV cache", _KV)
_MAP = ("use_mmap", "Map the file", "true, false; empty: as a chat")
_HUGE = ("huge_pages", "Huge pages", "true: for what is not mapped")
_DEPTH = ("depth_tokens", "Depth", "tokens in the KV cache before")


class Workload(NamedTuple):
    """One kind of measurement."""

    name: str
    about: str
    form: type[msgspec.Struct]
    lines: tuple[tuple[str, str, str], ...]
    """Field, label and note of each line of its dialog."""


WORKLOADS = (
    Workload(
        "single",
        "prefill and decode with one setting",
        BenchSettings,
        (
            ("prompt_tokens", "Prefill", "pp N: prompt tokens; 0: none"),
            ("generated_tokens", "Decode", "tg N: generated tokens; 0: none"),
            ("repetitions", "Repetitions", "of each test, after the warm-up"),
            _THREADS,
            ("depth_tokens", "Depth", "tokens in the KV cache before each test"),
            ("batch_tokens", "Batch", "prompt tokens handed over at once"),
            _KV_LINE,
            ("flash_attention", "Flash attention", "auto on off"),
            ("gpu_layers", "GPU layers", "-1: all"),
            _MAP,
            _HUGE,
            ("until_percent", "Until", "% of the mean that its interval may span; 0: off"),
            ("budget_s", "Budget", "seconds a test; 0: none"),
        ),
    ),
    Workload(
        "matrix",
        "every combination of lists of settings",
        MatrixForm,
        (
            ("prompt_tokens", "Prefill", "such as 128,512; 0: none"),
            ("generated_tokens", "Decode", "such as 32,128; 0: none"),
            ("depth_tokens", "Depth", "such as 0,4096"),
            ("threads", "Threads", "such as 1,2,4; 0: one a core"),
            ("batch_tokens", "Batch", "such as 512,2048"),
            ("physical_batch_tokens", "Micro-batch", "such as 256,512"),
            ("kv_cache_type", "KV cache", f"of {_KV}"),
            ("flash_attention", "Flash attention", "of auto on off"),
            ("gpu_layers", "GPU layers", "such as 0,-1 (all)"),
            ("use_mmap", "Map the file", "of true false auto (as a chat)"),
            ("huge_pages", "Huge pages", "of true false: for what is not mapped"),
            ("repetitions", "Repetitions", "of each test"),
        ),
    ),
    Workload(
        "ttft",
        "time to the first token against the prompt's length",
        TtftForm,
        (
            ("longest_tokens", "Longest", "prompt tokens; the others are powers of two"),
            _DEPTH,
            ("repetitions", "Repetitions", "of each length"),
            _THREADS,
            ("batch_tokens", "Batch", "prompt tokens handed over at once"),
            _KV_LINE,
        ),
    ),
    Workload(
        "load",
        "load time, file cold and warm",
        LoadForm,
        (
            ("repetitions", "Repetitions", "cold, and as many warm"),
            _THREADS,
            _MAP,
            _HUGE,
        ),
    ),
    Workload(
        "soak",
        "decode for minutes: rate, temperature, frequency, the knee",
        SoakForm,
        (
            ("duration_s", "Duration", "seconds"),
            ("sample_s", "Sample", "seconds a point"),
            _DEPTH,
            _THREADS,
            _KV_LINE,
        ),
    ),
    Workload(
        "A/B",
        "two models or settings alternately, with a bootstrap interval",
        AbForm,
        (
            ("model_b", "Model of B", "name or path; empty: the same"),
            ("prompt_tokens", "Prefill", "prompt tokens; 0: none"),
            ("generated_tokens", "Decode", "generated tokens; 0: none"),
            ("blocks", "Blocks", "of A B B A"),
            ("threads_a", "Threads A", "0: one a physical core"),
            ("threads_b", "Threads B", ""),
            ("kv_cache_type_a", "KV cache A", _KV),
            ("kv_cache_type_b", "KV cache B", ""),
            ("flash_attention_a", "Flash att. A", "auto on off"),
            ("flash_attention_b", "Flash att. B", ""),
            ("batch_tokens_a", "Batch A", "prompt tokens handed over at once"),
            ("batch_tokens_b", "Batch B", ""),
            ("use_mmap_a", "Map file A", "true, false; empty: as a chat"),
            ("use_mmap_b", "Map file B", ""),
            ("huge_pages_a", "Huge pages A", "true: for what is not mapped"),
            ("huge_pages_b", "Huge pages B", ""),
        ),
    ),
    Workload(
        "autotune",
        "the fastest settings within a time, saved as a profile",
        TuneForm,
        (
            ("goal", "Goal", "decode prefill"),
            ("budget_s", "Budget", "seconds"),
            _DEPTH,
            ("allow_kv_types", "KV types", "true: a quantized KV cache may be proposed"),
            ("save_profile", "Save", "true: keep the best as a profile"),
        ),
    ),
)
SINGLE = WORKLOADS[0]
SERVER_LOAD = Workload(
    "load test",
    "conversations at once: rates and latencies of a server",
    ServerLoadForm,
    (
        ("concurrency", "At once", "conversations, a level each: 1,2,4"),
        ("prompt_tokens", "Prompt", "tokens of a question, about"),
        ("generated_tokens", "Answer", "tokens, at most"),
        ("requests", "Questions", "of each conversation"),
    ),
)


def usual_of(entry: ModelEntry | None) -> Workload:
    """What is measured without being chosen."""
    return SINGLE if entry is None or entry.endpoint is None else SERVER_LOAD


def workloads_of(entry: ModelEntry) -> tuple[Workload, ...]:
    """What can be measured of a model: one on a server is asked, since nobody can feed it tokens."""
    return WORKLOADS if entry.endpoint is None else (SERVER_LOAD,)


async def ask(
    screen: LabScreen,
    workload: Workload,
    before: msgspec.Struct,
    model: str,
    settle: Callable[[msgspec.Struct], Awaitable[None]],
) -> None:
    """Have the workload's settings filled in until `settle` takes them; what it refuses is said in the dialog."""

    async def take(values: dict[str, Any]) -> None:
        for name in ("threads", "threads_a", "threads_b"):
            # A matrix has a list of them, which is looked at when its cells are.
            if isinstance(count := values.get(name), int):
                try:
                    require_threads(count)
                except EdgetuiError as error:
                    raise FieldError(name, error.failure) from error
        await settle(msgspec.structs.replace(before, **values))

    fields = [Field(workload.form, name, label, note, getattr(before, name)) for name, label, note in workload.lines]
    title = f"Measure {model} ({workload.name})" if model else "What to measure"
    await screen.app.push_screen_wait(FieldsDialog(title, fields, settle=take))


async def start(screen: LabScreen, entry: ModelEntry, form: msgspec.Struct) -> JobRecord:
    """Start what a form says; raises `EdgetuiError` as `Bench.start` does."""
    if isinstance(form, ServerLoadForm):
        assert entry.endpoint is not None, "no other model is offered this form"
        return await screen.lab.servers.measure(entry.endpoint, load_settings(form))
    bench = screen.lab.bench
    if isinstance(form, BenchSettings):
        return await bench.start(entry, form)
    if isinstance(form, MatrixForm):
        return await bench.start_matrix([entry], form.matrix())
    if isinstance(form, TtftForm):
        return await bench.start_ttft(entry, form.settings, ttft_lengths(form.longest_tokens))
    if isinstance(form, SoakForm):
        return await bench.start_soak(entry, form.settings)
    if isinstance(form, LoadForm):
        return await bench.start_load_times(entry, form.settings)
    if isinstance(form, TuneForm):
        return await bench.start_tune(entry, form.settings)
    assert isinstance(form, AbForm)
    try:
        other = await screen.lab.catalog.find(form.model_b) if form.model_b.strip() else entry
    except EdgetuiError as error:
        raise FieldError("model_b", error.failure) from error
    names = _side_names(entry, other, (form.differing("a"), form.differing("b")))
    a, b = side_of(entry, form.side("a"), names[0]), side_of(other, form.side("b"), names[1])
    return await bench.start_ab(a, b, form.settings)


def load_settings(form: ServerLoadForm) -> ServerBenchSettings:
    """What a load test asks; raises `FieldError`."""
    try:
        return form.settings
    except EdgetuiError as error:
        raise FieldError("concurrency", error.failure) from error


def _side_names(first: ModelEntry, second: ModelEntry, differing: Sequence[str]) -> tuple[str, str]:
    """By what differs: the models, their settings, or both."""
    if first.path == second.path:
        return differing[0] or first.name, differing[1] or second.name
    names = (first.name, second.name) if first.name != second.name else path_labels(first.path, second.path)
    parts = [f"{name} ({told})" if told else name for name, told in zip(names, differing, strict=True)]
    return parts[0], parts[1]
