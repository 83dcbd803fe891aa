"""Measurements of several parts that answer one question: settings that a form fills in, and what was found.

Each result is kept whole in the database (`store/studies.py`) and comes as one event of its job.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta

from edgetui.core.bench import BenchSettings, BenchTest, Conditions, Machine
from edgetui.core.bench_noise import noise_sentence
from edgetui.core.models import ModelFormat
from edgetui.core.server_load import ServerLoadResult
from edgetui.core.statistics import Ratio, mean

if TYPE_CHECKING:
    from collections.abc import Sequence

Goal = Literal["decode", "prefill"]
AS_A_CHAT = BenchSettings(use_mmap=None, huge_pages=True)
"""What `LoadSettings` takes where nothing is asked for; a plain row is measured as llama-bench loads, without either.
"""


class BenchSide(msgspec.Struct, frozen=True, kw_only=True):
    """A model with the settings that it is measured with; the settings' own tests and repetitions are not looked at."""

    model_path: str
    model_name: str
    model_format: ModelFormat
    fingerprint: str = ""
    settings: BenchSettings = BenchSettings()
    label: str = ""
    """What tells it from the other side."""


class EnergyUse(msgspec.Struct, frozen=True, kw_only=True):
    """What the measured work took, or why that is not known."""

    joules: float | None = None
    tokens: int = 0
    """That were computed for it."""
    meter: str = ""
    reason: str = ""
    """Empty where there is a figure, and in results of an edgetui that did not look."""
    rest_w: float | None = None
    """Power that the same meter told right before, with nothing loaded."""

    @property
    def joules_per_token(self) -> float | None:
        """None where no meter could be read."""
        return self.joules / self.tokens if self.joules is not None and self.tokens else None


# --- decode for minutes -------------------------------------------------------------------------------------


class SoakSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Decode without a pause, and look at the machine beside it."""

    duration_s: Annotated[float, Meta(ge=1, le=86_400)] = 300.0
    depth_tokens: Annotated[int, Meta(ge=0, le=1_048_576)] = 0
    """Each chunk of tokens begins at this depth, so that the work stays the same from first to last."""
    sample_s: Annotated[float, Meta(ge=0.05, le=60)] = 1.0
    """A chunk is as many tokens as take about so long."""
    settings: BenchSettings = BenchSettings()
    """How the model is loaded."""


class SoakSample(msgspec.Struct, frozen=True, array_like=True):
    """One chunk; None for what the machine does not tell."""

    at_s: float
    """From the beginning of the soak to the end of the chunk."""
    tps: float
    temperature_c: float | None = None
    frequency_hz: float | None = None
    throttled: tuple[str, ...] | None = None
    others_share: float | None = None
    watts: float | None = None
    """Mean power of the stretch that ends here, which spans as many samples as the meter needs to tell it."""


class Knee(msgspec.Struct, frozen=True, kw_only=True):
    """Where a rate leaves one level for a lower one."""

    at_s: float
    before_tps: float
    after_tps: float


class SoakResult(msgspec.Struct, frozen=True, kw_only=True, tag="soak"):
    """The series of a soak on one time axis, and its knee."""

    side: BenchSide
    duration_s: float
    chunk_tokens: int
    depth_tokens: int
    samples: tuple[SoakSample, ...]
    knee: Knee | None
    sentence: str
    """What the series shows, with the rule by which a knee is told."""
    cut_short: str = ""
    """Why it ended before its time; empty where it did not."""
    energy: EnergyUse = EnergyUse()
    threads: int = 0
    backend: str = ""
    engine_version: str = ""
    sample_s: float = 0
    """As asked; 0 in results of an edgetui that did not keep it."""
    use_mmap: bool | None = None
    """What became of the setting; None where it is not known."""
    huge_pages: bool | None = None
    """Whether weights lay in them; None as above."""


# --- two of them, alternately ------------------------------------------------------------------------------


class AbSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How two sides are compared: blocks of A B B A, so that a drift of the machine falls on both alike."""

    test: BenchTest = BenchTest(generated_tokens=128)
    blocks: Annotated[int, Meta(ge=2, le=500)] = 5
    until_percent: Annotated[float, Meta(ge=0, le=100)] = 0
    """Go on beyond `blocks` until the ratio's interval is no wider than this to either side; 0: do not."""
    budget_s: Annotated[float, Meta(ge=0, le=86_400)] = 0
    """No block begins after so long, once there are two; 0: no such limit."""
    seed: Annotated[int, Meta(ge=0, le=0xFFFF_FFFF)] = 0
    """Of the bootstrap."""


class AbResult(msgspec.Struct, frozen=True, kw_only=True, tag="ab"):
    """What an A/B comparison found."""

    a: BenchSide
    b: BenchSide
    test: BenchTest
    a_ns: tuple[int, ...]
    """Durations in the order of measuring, two a block."""
    b_ns: tuple[int, ...]
    ratio: Ratio | None
    """Rate of A over that of B."""
    seed: int
    reloaded: bool
    """Whether memory held one side at a time, so that each turn loaded its model anew."""
    conditions: Conditions | None
    sentence: str
    a_energy: EnergyUse = EnergyUse()
    b_energy: EnergyUse = EnergyUse()
    settings: AbSettings | None = None
    """As asked; None in results of an edgetui that did not keep them."""

    @property
    def mean_tps(self) -> tuple[float, float]:
        """Of A and of B, as their rows have it."""
        return mean_rate(self.test, self.a_ns), mean_rate(self.test, self.b_ns)


def mean_rate(test: BenchTest, samples_ns: Sequence[int]) -> float:
    """Mean of the repetitions' rates in tokens per second, the figure of a row; there must be one repetition."""
    return mean([test.computed_tokens * 1e9 / ns for ns in samples_ns])


def ab_sentence(
    a: str, b: str, ratio: Ratio | None, blocks: int, seed: int, conditions: Conditions | None = None
) -> str:
    """The verdict on two sides by their labels: one is faster only where the interval leaves out 1."""
    if ratio is None:
        return "Two blocks or more are needed before the sides can be compared."
    # Not the ratio of the sides' means, which a single disturbed repetition moves.
    how = f"the geometric mean of the ratios within {blocks} paired ABBA blocks; bootstrap, seed {seed}"
    noise = noise_sentence(conditions)
    if not ratio.is_shown:
        return f"No difference is shown between {a} and {b}: {_interval(ratio)}, {how}.{noise}"
    if ratio.ratio < 1:
        ratio = ratio.inverse
        a, b = b, a
    if noise:
        # By turns it falls on both alike, and may still slow one of them more: two threads wait for the one that waits.
        noise += " On a quiet one it may be otherwise."
    return f"{a} is faster than {b}: {_interval(ratio)}, {how}.{noise}"


def _interval(ratio: Ratio) -> str:
    return f"{ratio.ratio:.3f}x (95 % interval {ratio.low:.3f} to {ratio.high:.3f})"


# --- the best settings -------------------------------------------------------------------------------------


class TuneSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to look for the fastest settings of, and within what."""

    goal: Goal = "decode"
    budget_s: Annotated[float, Meta(ge=5, le=86_400)] = 120.0
    depth_tokens: Annotated[int, Meta(ge=0, le=1_048_576)] = 0
    allow_kv_types: bool = False
    """Whether a quantized KV cache may be proposed; it changes the answers a little."""
    start: BenchSettings = AS_A_CHAT
    """The defaults that a proposal must beat."""
    save_profile: bool = True


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """Settings that were tried, and how far they came."""

    label: str
    settings: BenchSettings
    samples_ns: tuple[int, ...] = ()
    defaults_ns: tuple[int, ...] = ()
    """Of the defaults, each measured right beside the sample at its place; empty for the defaults themselves."""
    rounds: int = 0
    """Of successive halving, that it was measured in."""
    problem: str = ""
    energy: EnergyUse = EnergyUse()


class TuneResult(msgspec.Struct, frozen=True, kw_only=True, tag="tune"):
    """What an autotune found: settings that are shown to be faster, or that the defaults are best."""

    side: BenchSide
    """The defaults."""
    goal: Goal
    test: BenchTest
    candidates: tuple[Candidate, ...]
    best: BenchSettings | None
    """None where nothing is shown to be faster than the defaults, or only beside other programs."""
    best_label: str
    final: AbResult | None
    """The one of `finals` that the sentence is about; None where no other candidate could be compared."""
    profile: str
    """Name of the saved profile; empty for none."""
    took_s: float
    sentence: str
    settings: TuneSettings | None = None
    """As asked; None in results of an edgetui that did not keep them."""
    finals: tuple[AbResult, ...] = ()
    """Candidates against the defaults, as `a` and `b`; empty in results of an edgetui that kept one of them."""


# --- load times --------------------------------------------------------------------------------------------


class LoadTimeSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How often a model is loaded with its file out of the system's memory, and in it."""

    repetitions: Annotated[int, Meta(ge=1, le=100)] = 3
    settings: BenchSettings = BenchSettings()


class LoadTime(msgspec.Struct, frozen=True):
    """One load up to the first computed token."""

    seconds: float
    """Until the model is ready for tokens."""
    first_token_s: float
    """From then until the first token is computed, for which a mapped file may have to be read."""
    cached_share: float | None
    """Of the file's pages, what was in memory right before; None where the system does not tell."""


class LoadTimesResult(msgspec.Struct, frozen=True, kw_only=True, tag="load"):
    """Load times of one model."""

    side: BenchSide
    size_bytes: int
    cold: tuple[LoadTime, ...]
    """Empty where the file cannot be put out of memory."""
    warm: tuple[LoadTime, ...]
    sentence: str


StudyResult = SoakResult | AbResult | TuneResult | LoadTimesResult | ServerLoadResult


class Study(msgspec.Struct, frozen=True, kw_only=True):
    """A kept result."""

    study_id: int
    job_id: str | None
    measured_at: float
    machine: Machine
    result: StudyResult
