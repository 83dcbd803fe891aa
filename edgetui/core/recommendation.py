"""Which model to take: every member of the families held against a machine and a person's limits, and ranked.

The rule, in full. Of each member the most faithful file type that keeps all limits and leaves room in memory is taken;
where none leaves room, the most faithful that keeps the limits. Members that keep them come first, those that leave
room before those that are tight, by published score of one benchmark. A member without one stands by the best score of
its family among those that are no larger, after that one; where there is none, after all with a score, by parameters.
Members that break a limit come last, those that break fewest first. Each rank says why it stands there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import msgspec
from msgspec import Meta

from edgetui.core.families import Member
from edgetui.core.fit import FitVerdict, MemoryParts
from edgetui.core.hardware import Reading
from edgetui.core.units import format_bytes, format_count

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

BENCHMARK = "MMLU-Pro"
"""Scores of this benchmark rank; it spreads small models better than MMLU does."""
OFFERED_TYPES = ("Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q4_0")
"""From the most to the least faithful."""
READING_TPS = 6.0
"""About 250 words a minute, at three quarters of a word a token."""


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person asks of a model; 0 and empty ask for nothing."""

    context_tokens: Annotated[int, Meta(ge=256, le=16_777_216)] = 4096
    least_tps: Annotated[float, Meta(ge=0, le=100_000)] = READING_TPS
    """Decode at the end of the context, in tok/s."""
    most_ttft_s: Annotated[float, Meta(ge=0, le=100_000)] = 0.0
    """Time to the first token of a prompt of `prompt_tokens`."""
    prompt_tokens: Annotated[int, Meta(ge=1, le=16_777_216)] = 512
    memory_gib: Annotated[float, Meta(ge=0, le=1_000_000)] = 0.0
    """At most; 0 takes all that the machine has."""
    most_joules_per_token: Annotated[float, Meta(ge=0, le=1_000_000)] = 0.0
    watts: Annotated[float, Meta(ge=0, le=1_000_000)] = 0.0
    """What the machine draws while it decodes; without it energy is unknown."""
    task: Literal["", "chat", "reasoning", "code", "vision"] = ""
    multilingual: bool = False
    open_licence: bool = False
    ungated: bool = False
    """Whether it must be there for a download without an account."""


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """Speed of one file on one machine, in tok/s."""

    tps: float
    """Decode at the end of the context; the limit that memory sets where only its bandwidth is known."""
    low: float
    high: float
    prefill_tps: float | None
    """Of `prompt_tokens`; None where nothing was measured."""
    is_bound: bool = False
    """Whether it is only the most that memory bandwidth allows."""
    inputs: str = ""
    """What it was computed from, in words."""
    doubt: str = ""


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """One member in one file type on one machine."""

    family: str
    member: Member
    type_name: str
    memory: MemoryParts
    verdict: FitVerdict
    pace: Reading[Pace]
    ttft_s: float | None
    joules_per_token: float | None
    broken: tuple[str, ...]
    """Limits that it breaks, in words."""
    unchecked: tuple[str, ...] = ()
    """Limits that nothing here can tell about, in words."""
    barely: str = ""
    """How the forecast's interval reaches beyond a limit that its figure keeps."""

    @property
    def score(self) -> float | None:
        """Per cent of the common benchmark, as published; None where nobody published one."""
        found = self.member.score
        return found.value if found is not None and found.benchmark == BENCHMARK else None


class Ranked(NamedTuple):
    """A choice with its place."""

    rank: int
    choice: Choice
    reasons: tuple[str, ...]
    """Why it stands here and why in this type, line by line."""
    on_frontier: bool
    """Whether no other one that keeps the limits is both faster and better."""


def ranking(choices: Sequence[Choice]) -> tuple[Ranked, ...]:
    """One row a member, best first, from the choices of all members in all types."""
    by_member: dict[str, list[Choice]] = {}
    for choice in choices:
        by_member.setdefault(choice.member.name, []).append(choice)
    best = [(_best_type(options), options) for options in by_member.values()]
    worths = _worths([choice for choice, _ in best])
    best.sort(key=lambda pair: _order(pair[0], worths[pair[0].member.name]))
    frontier = _frontier([choice for choice, _ in best if not choice.broken], worths)
    found: list[Ranked] = []
    for number, (choice, options) in enumerate(best):
        before = found[-1].choice if found else None
        place = _place(choice, before, worths)
        reasons = (*place, *_type_reason(choice, options), *_facts(choice))
        found.append(Ranked(number + 1, choice, reasons, choice.member.name in frontier))
    return tuple(found)


class _Worth(NamedTuple):
    """How good a member's answers are taken to be; greater is better."""

    score: float
    """Published, or that of `sibling`; -1 where there is neither."""
    is_own: bool
    parameters: int
    sibling: str = ""
    """The best-scored member of its family that is no larger."""


def _worths(choices: Sequence[Choice]) -> dict[str, _Worth]:
    found = {}
    for choice in choices:
        member = choice.member
        if choice.score is not None:
            found[member.name] = _Worth(choice.score, True, member.parameters)
            continue
        siblings = [
            (other.score, other.member.name)
            for other in choices
            if other.family == choice.family
            and other.score is not None
            and other.member.parameters <= member.parameters
        ]
        score, sibling = max(siblings, default=(-1.0, ""))
        found[member.name] = _Worth(score, False, member.parameters, sibling)
    return found


def _frontier(choices: Sequence[Choice], worths: Mapping[str, _Worth]) -> frozenset[str]:
    """Names of members that no other one beats in both worth and decode rate (the Pareto frontier)."""
    known = [
        (choice.member.name, worths[choice.member.name][:3], choice.pace.value.tps)
        for choice in choices
        if choice.pace.value is not None
    ]
    return frozenset(
        name
        for name, worth, tps in known
        if not any(
            other_worth >= worth and other_tps >= tps and (other_worth, other_tps) != (worth, tps)
            for _, other_worth, other_tps in known
        )
    )


def _best_type(options: Sequence[Choice]) -> Choice:
    """The most faithful that breaks nothing; where all do, the one that breaks least, then the smallest."""
    kept = [choice for choice in options if not choice.broken]
    if kept:
        return min(kept, key=lambda choice: (choice.verdict != "fits", OFFERED_TYPES.index(choice.type_name)))
    return min(options, key=lambda choice: (len(choice.broken), choice.memory.total))


def _order(choice: Choice, worth: _Worth) -> tuple[int, bool, float, bool, int, str]:
    tight = choice.verdict == "tight"
    return len(choice.broken), tight, -worth.score, not worth.is_own, -worth.parameters, choice.member.name


def _place(choice: Choice, before: Choice | None, worths: Mapping[str, _Worth]) -> tuple[str, ...]:
    if choice.broken:
        return tuple(f"breaks: {words}" for words in choice.broken)
    worth, score = worths[choice.member.name], choice.member.score
    if worth.is_own and score is not None:
        own = f"{score.benchmark} {score.value:.1f} as published ({score.conditions}; {score.source})"
    elif worth.sibling:
        own = (
            f"no {BENCHMARK} score of it is known here, so it stands by that of {worth.sibling} ({worth.score:.1f}),"
            " the best-scored one of its family that is no larger"
        )
    else:
        count = format_count(choice.member.parameters)
        own = (
            f"no {BENCHMARK} score of it or of a smaller one of its family is known here, so it stands behind all that"
            f" have one, in order of parameters ({count})"
        )
    if before is None:
        return (f"first: keeps all limits, and {own}",)
    if choice.verdict == "tight" != before.verdict:
        return (f"after all that leave room in memory: {own}",)
    return (f"after {before.member.name}: {own}",)


def _type_reason(choice: Choice, options: Sequence[Choice]) -> tuple[str, ...]:
    """Why not a more faithful type."""
    index = OFFERED_TYPES.index(choice.type_name)
    above = next((other for other in options if other.type_name == OFFERED_TYPES[index - 1]), None)
    if choice.broken or index == 0 or above is None:
        return ()
    why = above.broken[0] if above.broken else f"~{format_bytes(above.memory.total)} leaves no room beside it"
    return (f"{choice.type_name}: the most faithful type that keeps the limits; {above.type_name}: {why}",)


def _facts(choice: Choice) -> tuple[str, ...]:
    parts = choice.memory
    copied = (
        f" + {format_bytes(parts.weights_copied)} of them once more, rearranged for this processor"
        if parts.weights_copied
        else ""
    )
    lines = [
        f"memory {choice.verdict}: ~{format_bytes(parts.total)} = weights {format_bytes(parts.weights_mapped)}{copied},"
        f" KV cache {format_bytes(parts.kv_cache)}, buffers {format_bytes(parts.compute + parts.output)},"
        f" process {format_bytes(parts.runtime)}"
    ]
    pace = choice.pace.value
    if pace is not None and pace.is_bound:
        lines.append("without what its processor may hold a second time, rearranged: only a calibration there tells")
    if pace is None:
        lines.append(f"speed unknown: {choice.pace.reason}")
    else:
        word = "at most" if pace.is_bound else "predicted"
        interval = "" if pace.is_bound else f" ({pace.low:.1f} to {pace.high:.1f})"
        lines.append(f"decode {word} ~{pace.tps:.1f} tok/s{interval}: {pace.inputs}")
        if pace.doubt:
            lines.append(f"doubtful: {pace.doubt}")
    if choice.ttft_s is not None:
        lines.append(f"first token after ~{choice.ttft_s:.1f} s")
    if choice.joules_per_token is not None:
        lines.append(f"about {choice.joules_per_token:.1f} J a token at the power given")
    if choice.barely:
        lines.append(f"barely: {choice.barely}")
    lines += [f"not checked: {words}" for words in choice.unchecked]
    return tuple(lines)
