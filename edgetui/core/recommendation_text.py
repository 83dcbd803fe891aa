"""A ranking in words: the cells of its rows, for the screen and the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetui.core.units import MISSING, format_bytes, format_count

if TYPE_CHECKING:
    from edgetui.core.boards import Board
    from edgetui.core.recommendation import Choice, Limits, Ranked

COLUMNS = ("#", "Model", "Type", "Params", "Memory", "tok/s", "TTFT", "MMLU-Pro", "Licence", "Note")
"""Headings; the last one holds what is to be said of the row in a few words."""


def row_cells(row: Ranked, *, with_interval: bool = True) -> tuple[str, ...]:
    """One row under `COLUMNS`; `~` marks what is predicted, `<` what is only a bound."""
    choice = row.choice
    return (
        str(row.rank),
        choice.member.name,
        choice.type_name,
        format_count(choice.member.parameters),
        "~" + format_bytes(choice.memory.total),
        rate_text(choice) if with_interval else rate_text(choice).split()[0],
        f"~{choice.ttft_s:.1f} s" if choice.ttft_s is not None else MISSING,
        f"{choice.score:.1f}" if choice.score is not None else MISSING,
        choice.member.licence,
        note(row) if with_interval or row.choice.broken else note(row).replace("* frontier", "*").replace(", ", " "),
    )


def rate_text(choice: Choice) -> str:
    """Decode rate with its interval."""
    pace = choice.pace.value
    if pace is None:
        return MISSING
    if pace.is_bound:
        return f"<{pace.tps:.1f}"
    return f"~{pace.tps:.1f} ({pace.low:.0f}-{pace.high:.0f})"


def note(row: Ranked) -> str:
    """The limit that it breaks, or that it is on the frontier."""
    broken = row.choice.broken
    if broken:
        return broken[0] + (f" (and {len(broken) - 1} more)" if len(broken) > 1 else "")
    words = (
        "tight" if row.choice.verdict == "tight" else "",
        "barely" if row.choice.barely else "",
        "* frontier" if row.on_frontier else "",
    )
    return ", ".join(word for word in words if word)


def asked_text(limits: Limits, board: Board) -> str:
    """What was asked, in one line."""
    room = f"{limits.memory_gib:g} GiB" if limits.memory_gib else f"{format_bytes(board.memory_bytes)}"
    words = [
        f"{board.name}: {room} {'at most' if limits.memory_gib else board.memory_words}",
        f"{limits.context_tokens} tokens of context",
    ]
    if limits.least_tps:
        words.append(f"at least {limits.least_tps:g} tok/s")
    if limits.most_ttft_s:
        words.append(f"first token of {limits.prompt_tokens} within {limits.most_ttft_s:g} s")
    if limits.most_joules_per_token:
        words.append(f"at most {limits.most_joules_per_token:g} J a token")
    if limits.task:
        words.append(f"for {limits.task}")
    words += [
        text
        for wanted, text in (
            (limits.multilingual, "multilingual"),
            (limits.open_licence, "open licence"),
            (limits.ungated, "no consent on the hub"),
        )
        if wanted
    ]
    return ", ".join(words)


def download_command(choice: Choice) -> str:
    """The command that brings the file into the hub's cache, where Models finds it; empty without a known build."""
    return f"edgetui download {choice.member.gguf} {choice.type_name}" if choice.member.gguf else ""


def details(row: Ranked) -> list[tuple[str, str]]:
    """Everything of one row: why, what it is, where it is, where the figures come from."""
    member = row.choice.member
    experts = f", {member.active_experts} of {member.experts} experts active" if member.experts else ""
    window = f", window of {member.window} but every {member.full_every}th layer" if member.window else ""
    facts = [("WHY" if number == 0 else "", reason) for number, reason in enumerate(row.reasons)]
    if row.on_frontier:
        facts.append(("", "on the frontier (*): no other one that keeps the limits is both faster and better"))
    facts += [
        ("MODEL", f"{member.name} of {row.choice.family}, made for {', '.join(member.tasks)}; {member.languages}"),
        (
            "shape",
            f"{format_count(member.parameters)} parameters, {member.layers} layers of {member.embedding},"
            f" {member.heads} heads ({member.kv_heads} KV) of {member.head}{experts}{window},"
            f" {member.context} tokens of context",
        ),
        ("licence", member.licence + (", consent on the hub needed" if member.gated else "")),
        ("original", member.original),
    ]
    facts += [
        (label, hub_id)
        for label, hub_id in (("GGUF", member.gguf), ("ONNX", member.onnx), ("MLX", member.mlx))
        if hub_id
    ]
    if command := download_command(row.choice):
        facts.append(("get it", command))
    facts.append(("source", member.source))
    if member.score is not None and row.choice.score is None:
        score = member.score
        facts.append(("score", f"{score.benchmark} {score.value:.1f} ({score.conditions}; {score.source})"))
    return facts
