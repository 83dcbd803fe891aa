"""`edgetui recommend`: which model to take for this machine or another one, with the reason for every rank."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from edgetui.cli.overrides import override

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetui.core.boards import Board
    from edgetui.core.recommendation import Limits, Ranked


_OPTIONS = {
    "least_tps": "tps",
    "most_ttft_s": "ttft",
    "prompt_tokens": "prompt",
    "context_tokens": "context",
    "memory_gib": "memory",
    "most_joules_per_token": "joules",
}
"""Options that are not called as the limit is."""


def recommend(
    task: Annotated[str | None, typer.Option("--task", help="chat, reasoning, code or vision.")] = None,
    tps: Annotated[
        float | None, typer.Option("--tps", help="Least tok/s of decode, the context full; 6 if not given, 0: any.")
    ] = None,
    ttft: Annotated[float | None, typer.Option("--ttft", help="Most seconds to the first token; 0: any.")] = None,
    prompt: Annotated[
        int | None, typer.Option("--prompt", help="Tokens of the prompt for --ttft; 512 if not given.")
    ] = None,
    context: Annotated[int | None, typer.Option("-c", "--context", help="Tokens; 4096 if not given.")] = None,
    memory: Annotated[float | None, typer.Option("--memory", help="Most memory in GiB; 0: all there is.")] = None,
    joules: Annotated[float | None, typer.Option("--joules", help="Most joules a token; needs --watts.")] = None,
    watts: Annotated[float | None, typer.Option("--watts", help="What the machine draws while it decodes.")] = None,
    multilingual: Annotated[bool | None, typer.Option("--multilingual", help="More than English.")] = None,
    open_licence: Annotated[bool | None, typer.Option("--open-licence", help="MIT or Apache 2.0.")] = None,
    ungated: Annotated[bool | None, typer.Option("--ungated", help="No consent needed on the hub.")] = None,
    board: Annotated[
        str | None,
        typer.Option("--board", help="Another machine: part of a name of --boards, or a file of calibrate --json."),
    ] = None,
    bandwidth: Annotated[
        float | None, typer.Option("--bandwidth", min=0.001, help="Another machine's memory bandwidth in GB/s.")
    ] = None,
    boards: Annotated[bool, typer.Option("--boards", help="List the boards that are known.")] = False,
    why: Annotated[bool, typer.Option("--why", help="Print every reason and source of the models that fit.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Also list models that break a limit.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Rank models for this machine by your limits; exits with 0 when any keeps them all, 1 when none does.

    Speed is predicted after `edgetui calibrate`; of a board with a data sheet only a bound is known.
    """
    if boards:
        _list_boards(as_json)
        return
    chosen = {
        "task": task,
        "least_tps": tps,
        "most_ttft_s": ttft,
        "prompt_tokens": prompt,
        "context_tokens": context,
        "memory_gib": memory,
        "most_joules_per_token": joules,
        "watts": watts,
        "multilingual": multilingual,
        "open_licence": open_licence,
        "ungated": ungated,
    }
    from edgetui.core.recommendation import Limits

    limits = override(Limits(), chosen, _OPTIONS)
    machine, rows = asyncio.run(_ask(limits, board, bandwidth))
    kept = [row for row in rows if not row.choice.broken]
    if as_json:
        _print_json(limits, machine, rows)
    else:
        _print_rows(limits, machine, rows if everything else kept, why)
        if not kept:
            print("No model keeps all of these limits; --all shows what each one breaks.")
        elif not everything and len(rows) > len(kept):
            print(f"{len(rows) - len(kept)} more break a limit: --all lists them.")
    raise typer.Exit(0 if kept else 1)


async def _ask(limits: Limits, board: str | None, bandwidth: float | None) -> tuple[Board, Sequence[Ranked]]:
    from edgetui.core.boards import Board
    from edgetui.core.failures import EdgetuiError
    from edgetui.core.units import GIB
    from edgetui.services.lab import Lab
    from edgetui.services.recommend import board_named

    if bandwidth is not None and not limits.memory_gib:
        raise EdgetuiError("bad_request", "--bandwidth describes another machine: give its --memory in GiB too.")
    lab = Lab()
    try:
        if board is not None:
            machine = await board_named(board)
        elif bandwidth is not None:
            machine = Board(
                name="a machine as given",
                memory_bytes=round(limits.memory_gib * GIB),
                memory_words="as given",
                bandwidth_bytes_per_s=bandwidth * 1e9,
            )
        else:
            machine = await lab.recommender.this_machine()
        return machine, await lab.recommender.rank(limits, machine)
    finally:
        await lab.close()


def _list_boards(as_json: bool) -> None:
    from edgetui.services.recommend import board_profiles

    if as_json:
        import json

        import msgspec

        print(json.dumps(msgspec.to_builtins(board_profiles()), indent=2))
        return
    for profile in board_profiles():
        print(f"{profile.name:<28}{profile.bandwidth_gb_per_s:>7.1f} GB/s  {profile.memory_kind}")


def _print_rows(limits: Limits, machine: Board, rows: Sequence[Ranked], why: bool) -> None:
    from edgetui.core.plain_text import plain_line
    from edgetui.core.recommendation_text import COLUMNS, asked_text, details, row_cells

    print(plain_line(asked_text(limits, machine)))
    if machine.missing:
        print(f"no speeds: {plain_line(machine.missing)}")
    table = [COLUMNS, *(row_cells(row) for row in rows)]
    widths = [max(len(cells[column]) for cells in table) for column in range(len(COLUMNS))]
    for number, cells in enumerate(table):
        line = "  ".join(
            cell.ljust(width) if column in (1, 2, 8, 9) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        print(line.rstrip())
        if why and number:
            for label, text in details(rows[number - 1]):
                print(f"    {label:<9}{plain_line(text)}")


def _print_json(limits: Limits, machine: Board, rows: Sequence[Ranked]) -> None:
    import json

    import msgspec

    figures = {
        "limits": msgspec.to_builtins(limits),
        "board": {
            "name": machine.name,
            "memory_bytes": machine.memory_bytes,
            "bandwidth_bytes_per_s": machine.bandwidth_bytes_per_s,
            "calibrated": machine.calibration is not None,
            "missing": machine.missing or None,
        },
        "models": [
            {
                "rank": row.rank,
                "on_frontier": row.on_frontier,
                "reasons": row.reasons,
                "total_bytes": row.choice.memory.total,
                "score": row.choice.score,
                **msgspec.to_builtins(row.choice),
                "pace": msgspec.to_builtins(row.choice.pace.value),
                "pace_missing": row.choice.pace.reason or None,
            }
            for row in rows
        ],
    }
    print(json.dumps(figures, indent=2))
