"""What a sweep found, side by side: which builds keep a person's limits, which are on the frontier, which to take."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import msgspec
from msgspec import Meta

from edgetui.core.bench import BenchRow, BenchSettings
from edgetui.core.quality import EMBEDDED_TEXT, QualityRow, QualitySettings
from edgetui.core.units import format_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

CostAxis = Literal["size", "speed", "memory"]
"""What quality is paid with: bytes on disk, time a token, bytes in memory."""
COST_AXES: tuple[CostAxis, ...] = ("size", "speed", "memory")
GOOD_KL = 0.05
"""Nats: below that a loss is hard to notice in what a model writes; a rule of thumb, which a limit replaces."""
USABLE_TPS = 1.0
"""Slower than that nobody waits for an answer."""
Z_95 = 1.959964
"""Standard normal quantile of a two-sided 95 % interval."""


class FrontierRow(msgspec.Struct, frozen=True, kw_only=True):
    """One build of a model and what was measured of it; what was not measured is None."""

    sweep_id: str
    cell_id: str
    source_name: str
    """Model that it was made of."""
    label: str
    """What tells it from the others of its source, such as `Q4_K_M`, `ONNX int4`."""
    toolchain: str
    """`llama.cpp`, `onnx`, `olive`, `mlx`."""
    model_name: str = ""
    path: str = ""
    size_bytes: int | None = None
    quality: QualityRow | None = None
    prefill: BenchRow | None = None
    decode: BenchRow | None = None
    problem: str = ""
    """Why it, or a part of it, could not be measured, in one sentence."""
    measured_at: float = 0.0
    """Unix time in seconds."""

    @property
    def loss(self) -> float | None:
        """Mean KL divergence from the parent, in nats, not below 0; None without a parent."""
        if self.quality is None or self.quality.divergence is None:
            return None
        return max(0.0, self.quality.divergence.mean.value)

    @property
    def loss_error(self) -> float:
        """Standard error of `loss`."""
        if self.quality is None or self.quality.divergence is None:
            return 0.0
        return self.quality.divergence.mean.error

    @property
    def decode_tps(self) -> float | None:
        """Tokens a second while generating."""
        return None if self.decode is None else self.decode.mean_tps

    @property
    def prefill_tps(self) -> float | None:
        """Tokens a second while reading a prompt."""
        return None if self.prefill is None else self.prefill.mean_tps

    @property
    def memory_bytes(self) -> int | None:
        """Most memory that a process took to run it."""
        taken = [row.memory_bytes for row in (self.prefill, self.decode) if row is not None and row.memory_bytes]
        return max(taken, default=None)

    @property
    def load_s(self) -> float | None:
        """Time to load it."""
        return next((row.load_s for row in (self.decode, self.prefill) if row is not None and row.load_s), None)

    @property
    def joules_per_token(self) -> float | None:
        """Energy of a generated token, where a meter could be read."""
        return None if self.decode is None else self.decode.joules_per_token

    def cost(self, axis: CostAxis) -> float | None:
        """What it costs on an axis, smaller is better: bytes, or seconds a token."""
        if axis == "size":
            return self.size_bytes
        if axis == "memory":
            return self.memory_bytes
        return None if not self.decode_tps else 1 / self.decode_tps


class FrontierLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person asks of a build; None where they ask nothing."""

    max_size_mib: Annotated[float, Meta(gt=0, le=1e9)] | None = None
    max_memory_mib: Annotated[float, Meta(gt=0, le=1e9)] | None = None
    min_decode_tps: Annotated[float, Meta(gt=0, le=1e6)] | None = None
    min_prefill_tps: Annotated[float, Meta(gt=0, le=1e6)] | None = None
    max_kl: Annotated[float, Meta(gt=0, le=100)] | None = None
    max_perplexity: Annotated[float, Meta(gt=1, le=1e9)] | None = None

    @property
    def any(self) -> bool:
        """Whether anything is asked."""
        return any(getattr(self, name) is not None for name in self.__struct_fields__)


class SweepForm(msgspec.Struct, frozen=True, kw_only=True):
    """A sweep as a person fills it in."""

    builds: Annotated[str, Meta(max_length=2000)] = ""
    """Types and workflows between blanks."""
    imatrix: Annotated[str, Meta(max_length=4096)] = ""
    """Path of an importance matrix, or `make`, for the builds that end in `+imatrix`."""
    text: Annotated[str, Meta(min_length=1, max_length=4096)] = EMBEDDED_TEXT
    chunks: Annotated[int, Meta(ge=0, le=1_000_000)] = 8
    context_tokens: Annotated[int, Meta(ge=24, le=131_072)] = 512
    tasks: bool = True
    prompt_tokens: Annotated[int, Meta(ge=0, le=1_048_576)] = 128
    generated_tokens: Annotated[int, Meta(ge=0, le=1_048_576)] = 32
    repetitions: Annotated[int, Meta(ge=1, le=1000)] = 3
    threads: Annotated[int, Meta(ge=0, le=1024)] = 0
    keep: bool = True

    @property
    def build_names(self) -> tuple[str, ...]:
        """The builds one by one."""
        return tuple(self.builds.replace(";", " ").split())

    @property
    def quality(self) -> QualitySettings:
        """Over what the quality is measured."""
        return QualitySettings(
            text=self.text,
            context_tokens=self.context_tokens,
            chunks=self.chunks,
            tasks=self.tasks,
            threads=self.threads,
        )

    @property
    def bench(self) -> BenchSettings | None:
        """How the speed is measured; None where no tokens are asked for."""
        if not self.prompt_tokens and not self.generated_tokens:
            return None
        return BenchSettings(
            prompt_tokens=self.prompt_tokens,
            generated_tokens=self.generated_tokens,
            repetitions=self.repetitions,
            threads=self.threads,
        )


class Judged(NamedTuple):
    """A row under limits."""

    row: FrontierRow
    broken: tuple[str, ...]
    """Limits that it breaks, or that cannot be told for lack of a measurement; empty when it keeps all."""
    on_frontier: bool
    """Whether no other that keeps the limits is better in quality or cost and no worse in the other."""


class Pick(NamedTuple):
    """Which to take, and why."""

    row: FrontierRow | None
    reason: str


def judge(rows: Sequence[FrontierRow], limits: FrontierLimits, axis: CostAxis) -> list[Judged]:
    """Each row with the limits that it breaks and its place, in the order given."""
    broken = [broken_limits(row, limits) for row in rows]
    kept = [row for row, reasons in zip(rows, broken, strict=True) if not reasons]
    frontier = {row.cell_id + row.sweep_id for row in _frontier(kept, axis)}
    return [
        Judged(row, reasons, not reasons and row.cell_id + row.sweep_id in frontier)
        for row, reasons in zip(rows, broken, strict=True)
    ]


def broken_limits(row: FrontierRow, limits: FrontierLimits) -> tuple[str, ...]:
    """Why a row does not keep the limits, each in a few words."""
    return tuple(told for told, _ in _broken(row, limits))


def _broken(row: FrontierRow, limits: FrontierLimits) -> list[tuple[str, float]]:
    """Each limit that is broken, in words, with how many times it is missed; infinite where nothing was measured."""
    perplexity = None if row.quality is None else row.quality.perplexity.value
    checks: tuple[tuple[str, float | None, float | None, bool, Callable[[float], str]], ...] = (
        ("size", row.size_bytes, _bytes(limits.max_size_mib), True, _shown_bytes),
        ("memory", row.memory_bytes, _bytes(limits.max_memory_mib), True, _shown_bytes),
        ("decode", row.decode_tps, limits.min_decode_tps, False, _shown_rate),
        ("prefill", row.prefill_tps, limits.min_prefill_tps, False, _shown_rate),
        ("KL", row.loss, limits.max_kl, True, _shown_figure),
        ("perplexity", perplexity, limits.max_perplexity, True, _shown_figure),
    )
    broken = []
    for name, found, limit, is_most, shown in checks:
        if limit is None:
            continue
        if found is None:
            broken.append((f"{name} was not measured", math.inf))
        elif is_most and found > limit:
            broken.append((f"{name} {shown(found)} > {shown(limit)}", found / limit))
        elif not is_most and found < limit:
            broken.append((f"{name} {shown(found)} < {shown(limit)}", limit / found if found else math.inf))
    return broken


def _bytes(mib: float | None) -> float | None:
    return None if mib is None else mib * 1024.0**2


def _shown_bytes(value: float) -> str:
    return format_bytes(round(value))


def _shown_rate(value: float) -> str:
    return f"{value:.1f} tok/s"


def _shown_figure(value: float) -> str:
    return f"{value:.4g}"


def _frontier(rows: Sequence[FrontierRow], axis: CostAxis) -> list[FrontierRow]:
    """The Pareto frontier of loss and cost: no other is at least as good in both and better in one. Cheapest first."""
    known = [
        (cost, loss, row) for row in rows if (cost := row.cost(axis)) is not None and (loss := row.loss) is not None
    ]
    known.sort(key=lambda item: item[:2])
    best = math.inf
    frontier = []
    for _, loss, row in known:
        if loss < best:
            best = loss
            frontier.append(row)
    return frontier


def pick(judged: Sequence[Judged], limits: FrontierLimits, axis: CostAxis) -> Pick:
    """Which to take, with the evidence in one or two sentences: one rule, whatever the limits are.

    Of the builds that keep the limits and can be used, the cheapest whose loss is hard to notice (`GOOD_KL`; a limit on
    KL that was set takes its place). Where none is, the least loss, and of those that cannot be told apart from it
    (95 %) the cheapest.
    """
    if all(one.row.loss is None for one in judged):
        return Pick(None, "No quality has been measured yet: run a sweep with a parent to compare with.")
    kept = [one.row for one in judged if not one.broken and not one.row.problem and one.row.loss is not None]
    if not kept:
        broken = [one for one in judged if one.broken and not one.row.problem]
        return Pick(None, _nearest(broken, limits) if broken else "No build could be made and measured whole.")
    usable = [row for row in kept if row.decode_tps is None or row.decode_tps >= USABLE_TPS] or kept
    most = GOOD_KL if limits.max_kl is None else limits.max_kl
    good = [row for row in usable if _loss(row) <= most and row.cost(axis) is not None]
    among = f"of {len(kept)} that keep your limits" if limits.any else f"of {len(judged)} builds"
    words = {"size": "the smallest", "memory": "the lightest in memory", "speed": "the fastest"}[axis]
    if good:
        chosen = min(good, key=lambda row: (_cost(row, axis), _loss(row)))
        noticed = f"whose loss is hard to notice (KL up to {most:g})" if limits.max_kl is None else f"up to KL {most:g}"
        why = f"{words} {among} {noticed}"
    else:
        best = min(usable, key=_loss)
        chosen = min((row for row in usable if _alike(row, best)), key=lambda row: (_cost(row, axis), _loss(row)))
        why = f"the least loss {among}, but more than is hard to notice (KL up to {most:g})"
        if chosen is not best:
            why = f"{words} {among} that cannot be told apart from the least loss ({best.label}, {told_loss(best)})"
    if len(kept) == 1 and limits.any:
        felt = "" if good else f", though its loss is more than is hard to notice (KL up to {most:g})"
        why = f"the only one that keeps your limits{felt}"
    return Pick(chosen, f"{chosen.label} of {chosen.source_name}: {told_loss(chosen)}, {why}. {_evidence(chosen)}")


def _cost(row: FrontierRow, axis: CostAxis) -> float:
    cost = row.cost(axis)
    return math.inf if cost is None else cost


def told_loss(row: FrontierRow) -> str:
    """`KL 0.0123 +- 0.0004`."""
    return "quality not measured" if row.loss is None else f"KL {row.loss:.4f} +- {row.loss_error:.4f}"


def _evidence(row: FrontierRow) -> str:
    parts = [
        f"{format_bytes(row.size_bytes)} on disk" if row.size_bytes is not None else "",
        f"{format_bytes(row.memory_bytes)} in memory" if row.memory_bytes is not None else "",
        f"decode {row.decode_tps:.1f} tok/s" if row.decode_tps is not None else "",
        f"prefill {row.prefill_tps:.1f} tok/s" if row.prefill_tps is not None else "",
    ]
    told = ", ".join(part for part in parts if part)
    return f"Measured here: {told}." if told else "Its speed was not measured."


def _alike(row: FrontierRow, best: FrontierRow) -> bool:
    """Whether the losses' difference is within its 95 % interval, taken as independent: a wide interval, so careful."""
    return _loss(row) - _loss(best) <= Z_95 * math.hypot(row.loss_error, best.loss_error)


def _loss(row: FrontierRow) -> float:
    return math.inf if row.loss is None else row.loss


def _nearest(judged: Sequence[Judged], limits: FrontierLimits) -> str:
    """What is missing where nothing keeps the limits: the one that misses its worst limit by the least."""
    nearest = min((one.row for one in judged), key=lambda row: max(times for _, times in _broken(row, limits)))
    return (
        f"None of the {len(judged)} keeps your limits; the nearest is {nearest.label} of {nearest.source_name}"
        f" ({'; '.join(broken_limits(nearest, limits))}): loosen a limit, or try other types."
    )
