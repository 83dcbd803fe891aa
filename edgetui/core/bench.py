"""A benchmark's settings and rows in llama-bench's terms, and how a row is named."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import msgspec
from msgspec import Meta

from edgetui.core.failures import EdgetuiError
from edgetui.core.run_settings import KvCacheType
from edgetui.core.statistics import (
    interval_share,
    mean,
    median,
    median_deviation,
    outliers,
    standard_deviation,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

_NO_SETTINGS = frozenset(
    (
        *("build_commit", "build_number", "test_time", "avg_ns", "stddev_ns", "avg_ts", "stddev_ts"),
        *("model_type", "model_filename", "use_mmap"),
    )
)
"""Columns of another program that say no setting, or one that a row has a field for."""
_AS_USE_MMAP = {("load_mode", mode) for mode in ("auto", "mmap", "none")}
"""`use_mmap` says as much; others, such as `dio`, say more."""
TestKind = Literal["pp", "tg", "pg"]
StoppedBy = Literal["", "repetitions", "interval", "budget"]
MOST_REPETITIONS = 1000
"""Of one test, however wide the interval still is."""
OUTLIER_SCALES = 3.5
"""A repetition further than so many scaled MADs from the median is an outlier (Iglewicz and Hoaglin, 1993)."""
PHYSICAL_BATCH_TOKENS = 512
"""llama-bench's -ub."""


class BenchTest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one repetition computes: a prompt, generated tokens, or one after the other, at a depth."""

    prompt_tokens: Annotated[int, Meta(ge=0, le=1_048_576)] = 0
    generated_tokens: Annotated[int, Meta(ge=0, le=1_048_576)] = 0
    depth_tokens: Annotated[int, Meta(ge=0, le=1_048_576)] = 0
    """Tokens that are in the KV cache before."""

    @property
    def kind(self) -> TestKind:
        """llama-bench's word for it."""
        if self.prompt_tokens and self.generated_tokens:
            return "pg"
        return "pp" if self.prompt_tokens else "tg"

    @property
    def computed_tokens(self) -> int:
        """Tokens that a rate is over."""
        return self.prompt_tokens + self.generated_tokens

    @property
    def context_tokens(self) -> int:
        """The context that it needs, and that llama-bench makes for it."""
        return self.computed_tokens + self.depth_tokens

    @property
    def name(self) -> str:
        """`pp512`, `tg128`, `pp512+tg128`, `tg128 @ d4096`."""
        parts = (("pp", self.prompt_tokens), ("tg", self.generated_tokens))
        name = "+".join(f"{word}{tokens}" for word, tokens in parts if tokens)
        return name + (f" @ d{self.depth_tokens}" if self.depth_tokens else "")


class BenchSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to measure: llama-bench's -p, -n, -d, -r, -t, -b, -ctk/-ctv."""

    prompt_tokens: Annotated[int, Meta(ge=0, le=1_048_576)] = 512
    """pp N; 0 leaves prefill out."""
    generated_tokens: Annotated[int, Meta(ge=0, le=1_048_576)] = 128
    """tg N; 0 leaves decode out."""
    depth_tokens: Annotated[int, Meta(ge=0, le=1_048_576)] = 0
    """Tokens that are in the KV cache before each test begins."""
    repetitions: Annotated[int, Meta(ge=1, le=1000)] = 5
    threads: Annotated[int, Meta(ge=0, le=1024)] = 0
    """0 takes one a physical core that this process may use."""
    batch_tokens: Annotated[int, Meta(ge=1, le=65_536)] = 2048
    """Prompt tokens handed over at once; the engine computes at most `PHYSICAL_BATCH_TOKENS` of them together."""
    kv_cache_type: KvCacheType = "f16"
    kv_cache_type_v: KvCacheType | None = None
    """Type of the V cache; None takes the K cache's."""
    physical_batch_tokens: Annotated[int, Meta(ge=1, le=65_536)] = PHYSICAL_BATCH_TOKENS
    """llama-bench's -ub."""
    flash_attention: Literal["auto", "on", "off"] = "auto"
    gpu_layers: Annotated[int, Meta(ge=-1, le=10_000)] = -1
    """llama-bench's -ngl; -1 gives all layers to an accelerator where there is one."""
    use_mmap: bool | None = True
    """Map the file, as llama-bench does; None decides as a chat does (`LoadSettings.use_mmap`)."""
    huge_pages: bool = False
    """Ask for huge pages for weights that are not mapped, as a chat does and llama-bench does not."""
    tests: tuple[BenchTest, ...] = ()
    """Further tests, in this order, after those of `prompt_tokens` and `generated_tokens`."""
    until_percent: Annotated[float, Meta(ge=0, le=100)] = 0
    """Repeat beyond `repetitions` until the 95 % interval of the mean is no wider than this to either side; 0: do not.
    """
    budget_s: Annotated[float, Meta(ge=0, le=86_400)] = 0
    """No test begins a repetition once its repetitions have taken so long and there are two; 0: no such limit."""


class Conditions(msgspec.Struct, frozen=True, kw_only=True):
    """What the machine did while a row was measured; None for what it does not tell."""

    others_share: float | None = None
    """Of all processors' time, what everything but the engine took (0 to 1)."""
    frequency_hz: tuple[float, float] | None = None
    """Mean of the processors at the beginning and at the end."""
    temperature_c: tuple[float, float] | None = None
    """Of the hottest sensor of the processor, at the beginning and at the end."""
    throttled: tuple[str, ...] | None = None
    """Reasons that the system gave for throttling in the meantime; empty for none."""


class Repetition(NamedTuple):
    """One repetition of a test, just measured."""

    test: BenchTest
    number: int
    """From 1."""
    duration_ns: int


def tests_of(settings: BenchSettings) -> list[BenchTest]:
    """Tests in order; raises `EdgetuiError("bad_request")` when there is nothing to measure."""
    tests: list[BenchTest] = []
    if settings.prompt_tokens:
        tests.append(BenchTest(prompt_tokens=settings.prompt_tokens, depth_tokens=settings.depth_tokens))
    if settings.generated_tokens:
        tests.append(BenchTest(generated_tokens=settings.generated_tokens, depth_tokens=settings.depth_tokens))
    tests += (test for test in settings.tests if test.computed_tokens)
    if not tests:
        raise EdgetuiError("bad_request", "There is nothing to measure: ask for prompt tokens or generated tokens.")
    return tests


class BenchRow(msgspec.Struct, frozen=True, kw_only=True):
    """One test of one model: either pp N or tg N."""

    test: TestKind
    tokens: int
    """N of the test; of a `pg` test what is generated."""
    samples_ns: tuple[int, ...]
    """Duration of each repetition; warm-up not among them."""
    threads: int
    batch_tokens: int
    kv_cache_type: str
    model_name: str
    model_path: str
    model_size_bytes: int
    model_parameter_count: int
    model_quant_type: str
    engine: str
    engine_version: str
    measured_at: float
    """Unix time in seconds."""
    load_average: float | None
    """One-minute load of the machine before the test began."""
    backend: str = ""
    """What computed: `CPU`, or the engine's names of the accelerators; empty in rows of an edgetui that did not say."""
    depth_tokens: int = 0
    """Tokens in the KV cache before the test."""
    load_s: float | None = None
    """Time that the model took to load, from files that the system may hold in memory."""
    memory_bytes: int | None = None
    """Most memory that the process held in the test, weights included; None in rows that did not measure it."""
    energy_j: float | None = None
    """Energy of all repetitions together, where a meter could be read."""
    energy_meter: str = ""
    """The meter that told it."""
    energy_reason: str = ""
    """Why there is no energy; empty in rows of an edgetui that did not look."""
    rest_w: float | None = None
    """Power that the same meter told right before, with nothing loaded."""
    prompt_tokens: int = 0
    """Of a `pg` test: prefilled before its `tokens` are generated, within the same time."""
    kv_cache_type_v: str = ""
    """Empty in rows of an edgetui that gave both caches one type."""
    physical_batch_tokens: int = 0
    """0 where it is not known."""
    flash_attention: str = ""
    """`on`, `off` or `auto`; empty where it is not known."""
    gpu_layers: int | None = None
    conditions: Conditions | None = None
    fingerprint: str = ""
    """By which the model's content is known again."""
    source: str = ""
    """The other program whose row this is, such as `llama-bench`; empty for edgetui's own."""
    stated_tps: float | None = None
    """Mean rate as another program states it where it gives no samples (`samples_ns` is empty then)."""
    stated_sd_tps: float | None = None
    """Its standard deviation, stated likewise."""
    other_columns: tuple[tuple[str, str], ...] = ()
    """What another program says besides, by its own names."""
    use_mmap: bool | None = None
    """None where it is not known."""
    huge_pages: bool | None = None
    """Whether weights came to lie in them; None as above."""
    stopped_by: StoppedBy = ""
    """Why there is no further repetition; empty where it is not known."""

    @property
    def name(self) -> str:
        """llama-bench's name of the test: `pp512`, `tg128`, `pp512+tg128`, `tg128 @ d4096`."""
        name = f"pp{self.prompt_tokens}+tg{self.tokens}" if self.test == "pg" else f"{self.test}{self.tokens}"
        return name + (f" @ d{self.depth_tokens}" if self.depth_tokens else "")

    @property
    def other_settings(self) -> dict[str, str]:
        """Settings, and the accelerator, that another program states and no field has."""
        return {
            name: value
            for name, value in self.other_columns
            if name not in _NO_SETTINGS and (name, value) not in _AS_USE_MMAP
        }

    @property
    def samples_tps(self) -> tuple[float, ...]:
        """Tokens per second of each repetition."""
        return tuple((self.prompt_tokens + self.tokens) * 1e9 / ns for ns in self.samples_ns)

    @property
    def joules_per_token(self) -> float | None:
        """Energy over the tokens of all repetitions; None where no meter could be read."""
        return (
            None
            if self.energy_j is None or not self.samples_ns
            else self.energy_j / ((self.prompt_tokens + self.tokens) * len(self.samples_ns))
        )

    @property
    def mean_tps(self) -> float:
        """Mean of the repetitions' rates, as llama-bench prints it."""
        if not self.samples_ns and self.stated_tps is not None:
            return self.stated_tps
        return mean(self.samples_tps)

    @property
    def sd_tps(self) -> float | None:
        """Standard deviation of the rates; None for a single repetition."""
        if not self.samples_ns:
            return self.stated_sd_tps
        return standard_deviation(self.samples_tps)

    @property
    def median_tps(self) -> float | None:
        """Median of the repetitions' rates, which an outlier does not move; None without samples."""
        return median(self.samples_tps) if self.samples_ns else None

    @property
    def ttft_s(self) -> float | None:
        """Median time until the logits for the first token are there; None for other tests and without samples."""
        return median(self.samples_ns) / 1e9 if self.test == "pp" and self.samples_ns else None

    @property
    def mad_tps(self) -> float | None:
        """Median of the distances from the median, unscaled; None for a single repetition."""
        return median_deviation(self.samples_tps)

    @property
    def interval_share(self) -> float | None:
        """Half the width of the 95 % interval of the mean, over the mean; None for a single repetition."""
        return interval_share(self.samples_tps)

    @property
    def outliers(self) -> tuple[int, ...]:
        """Indexes of repetitions that lie far off; they stay in every figure."""
        return outliers(self.samples_tps, OUTLIER_SCALES)


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """What a row was measured on; no host name, no serial number."""

    cpu: str = ""
    physical_cores: int | None = None
    memory_bytes: int | None = None
    system: str = ""
    architecture: str = ""


class BenchRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the history."""

    record_id: int
    job_id: str | None
    row: BenchRow
    machine: Machine


_NOT_TOLD = "not told"


def labels(records: Sequence[BenchRecord]) -> list[str]:
    """What tells these rows apart: the models' names, with whatever else differs in brackets.

    Rows of one model are named by what differs in the settings that they state, or by their times when nothing does.
    """
    names = [record.row.model_name for record in records]
    columns = [
        column
        for column in zip(*map(_traits, records), strict=True)
        if len({trait for trait in column if not trait.endswith(_NOT_TOLD)}) > 1
    ]
    if len({bool(record.row.huge_pages) for record in records}) > 1:
        columns.append(tuple("huge pages" if record.row.huge_pages else "no huge pages" for record in records))
    columns += _other_traits(records)
    if len(set(names)) < len(names) and len({record.row.model_quant_type for record in records}) > 1:
        columns.append(tuple(record.row.model_quant_type or "type not told" for record in records))
    traits = [", ".join(filter(None, values)) for values in zip(*columns, strict=True)] or [""] * len(records)
    if len(set(names)) == len(names):
        return [f"{name} ({trait})" if trait else name for name, trait in zip(names, traits, strict=True)]
    if len(set(names)) > 1:
        traits = [f"{name} {trait}".strip() for name, trait in zip(names, traits, strict=True)]
    if len(set(traits)) == len(traits):
        return traits
    times = [time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.row.measured_at)) for record in records]
    return [f"{trait} {at}".strip() for trait, at in zip(traits, times, strict=True)]


def _traits(record: BenchRecord) -> tuple[str, ...]:
    row, machine = record.row, record.machine
    layers = {None: _NOT_TOLD, -1: "all"}.get(row.gpu_layers, str(row.gpu_layers))
    type_v = row.kv_cache_type_v or row.kv_cache_type
    return (
        f"{row.threads} thread{'' if row.threads == 1 else 's'}",
        f"KV {row.kv_cache_type}" + ("" if type_v == row.kv_cache_type else f"/{type_v}"),
        f"batch {row.batch_tokens}",
        f"ubatch {row.physical_batch_tokens or _NOT_TOLD}",
        f"flash attention {row.flash_attention or _NOT_TOLD}",
        f"GPU layers {layers}",
        {None: f"mmap {_NOT_TOLD}", True: "mmap", False: "no mmap"}[row.use_mmap],
        f"{row.engine} {row.engine_version}",
        row.backend or f"backend {_NOT_TOLD}",
        f"by {row.source or 'edgetui'}",
        machine.cpu or machine.architecture or "another machine",
    )


def _other_traits(records: Sequence[BenchRecord]) -> list[tuple[str, ...]]:
    """Of the columns of another program those in which rows that state them differ."""
    told = [record.row.other_settings for record in records]
    return [
        tuple(f"{name} {each[name]}" if name in each else "" for each in told)
        for name in dict.fromkeys(name for each in told for name in each)
        if len({each[name] for each in told if name in each}) > 1
    ]
