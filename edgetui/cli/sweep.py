"""`edgetui sweep`: make builds of a model and measure each; the work is a job that goes on where it was."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgetui.cli.follow import print_json, start_and_follow
from edgetui.core.failures import EdgetuiError
from edgetui.core.plain_text import plain_line

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from edgetui.core.frontier import SweepForm
    from edgetui.core.jobs import JobRecord
    from edgetui.services.frontier import SweepPlan
    from edgetui.services.lab import Lab


def sweep(
    model: Annotated[str, typer.Argument(help="Name or path of a model; see `edgetui models`.")],
    builds: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="BUILD",
            help="Types (Q4_K_M, Q4_K_M+imatrix) and workflows (onnx-build:precision=int4); none takes the usual ones.",
        ),
    ] = None,
    also: Annotated[
        list[str] | None, typer.Option("--also", help="A further model to make the same builds of; may be repeated.")
    ] = None,
    base: Annotated[
        str | None, typer.Option("--base", help="Model that quality is measured against; else the model itself.")
    ] = None,
    imatrix: Annotated[
        str | None, typer.Option("--imatrix", metavar="FILE|make", help="Importance matrix for builds with +imatrix.")
    ] = None,
    text: Annotated[str | None, typer.Option("--text", help="topics, wikitext-2, or a UTF-8 file.")] = None,
    chunks: Annotated[int | None, typer.Option("--chunks", help="Chunks of the text; 0: all.")] = None,
    context: Annotated[int | None, typer.Option("-c", "--context", help="Tokens a chunk.")] = None,
    tasks: Annotated[bool, typer.Option("--tasks/--no-tasks", help="Try the built-in tasks too.")] = True,
    prompt_tokens: Annotated[int | None, typer.Option("-p", help="Prefill of N tokens; 0: none.")] = None,
    generated_tokens: Annotated[int | None, typer.Option("-n", help="Decode of N tokens; 0: none.")] = None,
    repetitions: Annotated[int | None, typer.Option("-r", help="Repetitions of each test.")] = None,
    threads: Annotated[int | None, typer.Option("-t", "--threads", help="0: one a physical core.")] = None,
    no_quality: Annotated[bool, typer.Option("--no-quality", help="Measure speed only.")] = False,
    keep: Annotated[bool, typer.Option("--keep/--drop", help="Keep the builds, or remove each once measured.")] = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be made.")] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Print the job's id and return.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Make builds of a model and measure size, quality, speed and memory of each; see `edgetui frontier`."""
    from edgetui.cli.overrides import override
    from edgetui.core.frontier import SweepForm
    from edgetui.services.lab import Lab

    given = {
        "text": text,
        "chunks": chunks,
        "context_tokens": context,
        "prompt_tokens": prompt_tokens,
        "generated_tokens": generated_tokens,
        "repetitions": repetitions,
        "threads": threads,
    }
    names = {"context_tokens": "context", "prompt_tokens": "p", "generated_tokens": "n", "repetitions": "r"}
    form = override(SweepForm(tasks=tasks, keep=keep, imatrix=imatrix or ""), given, names)
    lab = Lab()
    models = [model, *(also or [])]
    run = _run(lab, models, builds or [], base, form, not no_quality, dry_run, detach, as_json)
    raise typer.Exit(asyncio.run(run))


async def _run(
    lab: Lab,
    models: list[str],
    builds: list[str],
    base: str | None,
    form: SweepForm,
    with_quality: bool,
    dry_run: bool,
    detach: bool,
    as_json: bool,
) -> int:
    try:
        plan = await lab.frontier.plan(
            [await lab.catalog.find(model) for model in models],
            builds,
            base=await lab.catalog.find(base) if base else None,
            imatrix=form.imatrix,
            quality=form.quality if with_quality else None,
            bench=form.bench,
            keep=form.keep,
        )
        if dry_run:
            _tell(plan, await lab.frontier.missing_toolchains(plan), as_json)
            return 0

        def start() -> Awaitable[JobRecord]:
            return lab.frontier.start(plan)

        def show(record: JobRecord) -> None:
            if as_json:
                print_json({"job": record.job_id, "state": record.state, "summary": record.summary})
            else:
                print(plain_line(record.summary))
                print(f"edgetui frontier --sweep {record.job_id}")

        return await start_and_follow(lab, start, detach=detach, as_json=as_json, show=show)
    finally:
        await lab.close()


def _tell(plan: SweepPlan, missing: Sequence[str], as_json: bool) -> None:
    from edgetui.core.units import format_bytes

    if as_json:
        print_json(
            {
                "predicted_bytes": plan.predicted_bytes,
                "missing_toolchains": list(missing),
                "builds": [
                    {
                        "build": cell.label,
                        "toolchain": cell.toolchain,
                        "path": cell.model_path,
                        "makes": [make.output for make in cell.makes],
                    }
                    for cell in plan.request.cells
                ],
            }
        )
        return
    for cell in plan.request.cells:
        names = [Path(make.output or "").name for make in cell.makes]
        how = f"makes {', then '.join(names)}" if names else "is here"
        print(plain_line(f"{cell.label:<24} {how}"))
    print(f"Takes at most about {format_bytes(plan.predicted_bytes)} on disk.")
    for name in missing:
        print(f"Needs the toolchain {name}, which is not ready: edgetui toolchain install {name}.")


def require_sweep(found: bool) -> None:
    """Raises `EdgetuiError("not_found")` where no sweep has been made."""
    if not found:
        raise EdgetuiError("not_found", "No builds have been compared yet: run `edgetui sweep MODEL` first.")
