"""`edgetui quantize`: predict and make a quantized model; the work is a job like any other."""

from __future__ import annotations

import asyncio
import sys
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgetui.cli.follow import print_json, start_and_follow
from edgetui.core.failures import EdgetuiError
from edgetui.core.plain_text import plain_line

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from edgetui.core.jobs import JobRecord
    from edgetui.core.models import ModelEntry
    from edgetui.services.lab import Lab
    from edgetui.worker.protocol import QuantizationPlan


def quantize(
    model: Annotated[str, typer.Argument(help="Name or path of a GGUF model; see `edgetui models`.")],
    type_name: Annotated[
        str | None,
        typer.Argument(metavar="TYPE", help="Such as Q4_K_M; with --dry-run none means all that llama.cpp knows."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="File or folder; else a new name in the models folder.")
    ] = None,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Quantize a source that is itself quantized.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only predict sizes; nothing is written.")] = False,
    threads: Annotated[
        int, typer.Option("-t", "--threads", min=0, max=1024, help="0 takes all that edgetui may use.")
    ] = 0,
    detach: Annotated[
        bool, typer.Option("--detach", help="Print the job's id and return; see `edgetui jobs`.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Make a smaller (or wider) model of one; Ctrl-C cancels and leaves nothing."""
    if type_name is None and not dry_run:
        raise EdgetuiError(
            "bad_request", "Name a type to make, such as Q4_K_M; `edgetui quantize MODEL --dry-run` lists them."
        )
    from edgetui.services.lab import Lab

    lab = Lab()
    wanted = type_name.upper() if type_name else None
    if wanted is None or dry_run:
        status = asyncio.run(_predict(lab, model, wanted, as_json))
    else:
        status = asyncio.run(_make(lab, model, wanted, output, yes, threads, detach, as_json))
    raise typer.Exit(status)


async def _predict(lab: Lab, model: str, type_name: str | None, as_json: bool) -> int:
    try:
        entry = await lab.catalog.find(model)
        async with aclosing(lab.quantizer.plan(entry, (type_name,) if type_name else ())) as stream:
            plans = [plan async for plan in stream]
    finally:
        await lab.close()
    if as_json:
        print_json([_plan_figures(entry, plan) for plan in plans])
    else:
        _print_plans(entry, plans)
    return 1 if type_name and plans[0].problem else 0


async def _make(
    lab: Lab,
    model: str,
    type_name: str,
    output: Path | None,
    yes: bool,
    threads: int,
    detach: bool,
    as_json: bool,
) -> int:
    try:
        entry = await lab.catalog.find(model)
        await lab.quantizer.startable_plan(entry, type_name)
        agreed = _heed_caution(lab, entry, type_name, yes)

        def start() -> Awaitable[JobRecord]:
            return lab.quantizer.start(entry, type_name, target=output, allow_requantize=agreed, threads=threads)

        return await start_and_follow(lab, start, detach=detach, as_json=as_json)
    finally:
        await lab.close()


def _heed_caution(lab: Lab, entry: ModelEntry, type_name: str, yes: bool) -> bool:
    """Warn; where an explicit yes is needed, ask for it or refuse. Returns whether it was given."""
    caution = lab.quantizer.caution(entry, type_name)
    if caution is None:
        return yes
    if caution.needs_yes and not yes and not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise EdgetuiError("bad_request", f"{caution.sentence} Say yes to that with --yes.")
    print(f"edgetui: {plain_line(caution.sentence)}", file=sys.stderr)
    if caution.needs_yes and not yes and not typer.confirm("Quantize it all the same?", default=False, err=True):
        raise EdgetuiError("cancelled", "Nothing was done.")
    return True


def _plan_figures(entry: ModelEntry, plan: QuantizationPlan) -> dict[str, object]:
    return {
        "type": plan.type_name,
        "size_bytes": plan.size_bytes,
        "bits_per_weight": plan.bits_per_weight,
        "share_of_source": plan.size_bytes / entry.size_bytes if plan.size_bytes else None,
        "needs_imatrix": plan.needs_imatrix,
        "fallback_tensors": plan.fallback_tensors,
        "problem": plan.problem,
    }


def _print_plans(entry: ModelEntry, plans: Sequence[QuantizationPlan]) -> None:
    from edgetui.core.quant_types import describe_type, plan_note
    from edgetui.core.units import MISSING, format_bytes

    print(f"{'TYPE':<9}{'SIZE':>10}{'BPW':>7}{'SHARE':>7}  NOTE")
    for plan in plans:
        bits = MISSING if plan.bits_per_weight is None else f"{plan.bits_per_weight:.2f}"
        share = MISSING if plan.size_bytes is None else f"{plan.size_bytes / entry.size_bytes:.0%}"
        note = plan_note(plan.problem, plan.needs_imatrix, plan.fallback_tensors)
        purpose = describe_type(plan.type_name).purpose
        words = "; ".join(filter(None, (note, "" if plan.problem else purpose)))
        print(f"{plan.type_name:<9}{format_bytes(plan.size_bytes):>10}{bits:>7}{share:>7}  {plain_line(words)}")
