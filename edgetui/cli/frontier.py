"""`edgetui frontier`: what sweeps found, under limits, and which build to take."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgetui.core.failures import EdgetuiError
from edgetui.core.plain_text import plain_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetui.core.frontier import CostAxis, FrontierRow, Judged, Pick
    from edgetui.services.lab import Lab


def frontier(
    sweep: Annotated[
        str | None, typer.Option("--sweep", help="Job of a sweep, or an ending of it; else the newest.")
    ] = None,
    model: Annotated[str | None, typer.Option("--model", help="Of a sweep over several models: this one.")] = None,
    max_size: Annotated[float | None, typer.Option("--max-size", help="MiB on disk.")] = None,
    max_memory: Annotated[float | None, typer.Option("--max-memory", help="MiB while it runs.")] = None,
    min_tps: Annotated[float | None, typer.Option("--min-tps", help="Decode, tok/s.")] = None,
    min_prefill: Annotated[float | None, typer.Option("--min-prefill", help="Prefill, tok/s.")] = None,
    max_kl: Annotated[float | None, typer.Option("--max-kl", help="Mean KL divergence, nats.")] = None,
    max_perplexity: Annotated[float | None, typer.Option("--max-perplexity", help="Perplexity.")] = None,
    paid_with: Annotated[str, typer.Option("--paid-with", help="size, speed or memory.")] = "size",
    kind: Annotated[
        str | None, typer.Option("--format", help="md, csv, json or svg; with -o the name's ending says it.")
    ] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Write to a file.")] = None,
    forget: Annotated[bool, typer.Option("--forget", help="Forget the sweep's figures; files stay.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As --format json.")] = False,
) -> None:
    """Builds of a sweep side by side, the frontier marked, and which to take under limits."""
    from edgetui.cli.overrides import override
    from edgetui.core.frontier import COST_AXES, FrontierLimits
    from edgetui.services.lab import Lab

    axis: CostAxis | None = next((each for each in COST_AXES if each == paid_with), None)
    if axis is None:
        raise EdgetuiError(
            "bad_request", f"Quality is not paid with {plain_line(paid_with)}: take size, speed or memory."
        )
    given = {
        "max_size_mib": max_size,
        "max_memory_mib": max_memory,
        "min_decode_tps": min_tps,
        "min_prefill_tps": min_prefill,
        "max_kl": max_kl,
        "max_perplexity": max_perplexity,
    }
    options = {"max_size_mib": "max-size", "max_memory_mib": "max-memory", "min_decode_tps": "min-tps",
             "min_prefill_tps": "min-prefill"}  # fmt: skip
    limits = override(FrontierLimits(), given, options)
    rows = asyncio.run(_read(Lab(), sweep, forget))
    if forget:
        return
    from edgetui.core.frontier import judge, pick

    # Losses of different models do not compare.
    names = list(dict.fromkeys(row.source_name for row in rows))
    if model is not None:
        names = [name for name in names if model in name]
    if not names or (len(names) > 1 and (kind or output or as_json)):
        told = ", ".join(names) or "none fits"
        raise EdgetuiError("bad_request", f"Say which model's builds are meant with --model: {plain_line(told)}.")
    kind = "json" if as_json else kind
    for number, name in enumerate(names):
        judged = judge([row for row in rows if row.source_name == name], limits, axis)
        picked = pick(judged, limits, axis)
        if number:
            print()
        _give(judged, picked, axis, kind, output)


def _give(judged: Sequence[Judged], picked: Pick, axis: CostAxis, kind: str | None, output: Path | None) -> None:
    """Write or print one model's builds."""
    if output is not None:
        from edgetui.services.frontier_export import export

        named = output if output.suffix or kind is None else output.with_name(f"{output.name}.{kind}")
        print(export(named, judged, picked, axis))
    elif kind is not None:
        from edgetui.services.frontier_export import exported

        sys.stdout.write(exported(kind, judged, picked, axis))
    else:
        _print(judged, picked)


async def _read(lab: Lab, sweep: str | None, forget: bool) -> list[FrontierRow]:
    from edgetui.cli.sweep import require_sweep

    try:
        rows = await lab.frontier.rows()
        require_sweep(bool(rows))
        sweeps = list(dict.fromkeys(row.sweep_id for row in rows))
        wanted = [sweeps[0]] if sweep is None else [each for each in sweeps if each.endswith(sweep)]
        if len(wanted) != 1:
            told = "no sweep ends" if not wanted else "several sweeps end"
            raise EdgetuiError(
                "not_found", f"{told.capitalize()} in {plain_line(sweep or '')}: see `edgetui jobs list`."
            )
        if forget:
            count = await lab.frontier.remove(wanted[0])
            print(f"Forgot {count} builds of sweep {wanted[0]}.")
    finally:
        await lab.close()
    return [row for row in rows if row.sweep_id == wanted[0]]


def _print(judged: Sequence[Judged], picked: Pick) -> None:
    from edgetui.core.frontier_text import COLUMNS, place_mark, table_cells, told_conditions

    rows = [("", *COLUMNS), *((place_mark(one, picked), *table_cells(one)) for one in judged)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    conditions = told_conditions([one.row for one in judged])
    print(plain_line(f"Builds of {judged[0].row.source_name}: {conditions}."))
    for row in rows:
        cells = [
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print(plain_line("  ".join(cells)).rstrip())
    for one in judged:
        told = one.row.problem or "; ".join(one.broken)
        if told:
            print(plain_line(f"{one.row.label}: {told}"))
    print(plain_line(picked.reason))
