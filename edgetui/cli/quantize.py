"""`edgetui quantize`: predict and make a quantized model; the work is a job like any other."""

from __future__ import annotations

import asyncio
import sys
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import msgspec
import typer

from edgetui.cli.follow import follow, print_json, start_and_follow
from edgetui.core.failures import EdgetuiError
from edgetui.core.plain_text import plain_line

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from edgetui.core.calibration import ThreadCalibration
    from edgetui.core.jobs import JobRecord
    from edgetui.core.models import ModelEntry
    from edgetui.core.quant_options import QuantOptions
    from edgetui.services.lab import Lab
    from edgetui.worker.protocol import QuantizationPlan

MAKE = "make"
"""Given for the path of an importance matrix: make one first."""


class _Wish(NamedTuple):
    """What was asked for beside model and type."""

    output: Path | None
    yes: bool
    threads: int
    options: QuantOptions
    imatrix: str | None
    detach: bool
    as_json: bool


def quantize(
    model: Annotated[str, typer.Argument(help="Name or path of a GGUF model; see `edgetui models`.")],
    type_name: Annotated[
        str | None,
        typer.Argument(metavar="TYPE", help="Such as Q4_K_M; with --dry-run none means all that llama.cpp knows."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="File or folder; else a new name in the models folder.")
    ] = None,
    yes: Annotated[
        bool, typer.Option("-y", "--yes", help="Quantize a source that is itself quantized, or leave out layers.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only predict sizes; nothing is written.")] = False,
    threads: Annotated[
        int, typer.Option("-t", "--threads", min=0, max=1024, help="0 takes all that edgetui may use.")
    ] = 0,
    imatrix: Annotated[
        str | None,
        typer.Option(metavar="FILE|make", help="Importance matrix; `make` makes one of Python's documentation first."),
    ] = None,
    tensor_type: Annotated[
        list[str] | None,
        typer.Option(metavar="PATTERN=TYPE", help="A type for tensors whose names the pattern finds; may be repeated."),
    ] = None,
    output_type: Annotated[str, typer.Option(metavar="TYPE", help="Tensor type of output.weight.")] = "",
    embedding_type: Annotated[str, typer.Option(metavar="TYPE", help="Tensor type of the token embedding.")] = "",
    pure: Annotated[bool, typer.Option("--pure", help="All tensors in one type, without llama.cpp's mixture.")] = False,
    leave_output: Annotated[
        bool, typer.Option("--leave-output-tensor", help="Keep output.weight as it is in the source.")
    ] = False,
    keep_split: Annotated[bool, typer.Option("--keep-split", help="Write as many files as the source has.")] = False,
    prune_layers: Annotated[
        str, typer.Option(metavar="3,5", help="EXPERIMENT: leave out layers; the model gets much worse.")
    ] = "",
    max_buffer: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Most tensor data held in memory at once, such as 128MiB.")
    ] = None,
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
    if imatrix == MAKE and (detach or dry_run):
        raise EdgetuiError(
            "bad_request",
            "--imatrix make waits for the matrix: make one with `edgetui imatrix` and name its file.",
        )
    from edgetui.core.quant_options import (
        BUFFER_BYTES,
        QuantOptions,
        parse_layers,
        parse_override,
        parse_size,
        parse_type,
    )
    from edgetui.services.lab import Lab

    try:
        options = QuantOptions(
            imatrix=str(Path(imatrix).expanduser().absolute()) if imatrix and imatrix != MAKE else "",
            tensor_types=tuple(parse_override(text) for text in tensor_type or ()),
            output_type=parse_type(output_type) if output_type else "",
            embedding_type=parse_type(embedding_type) if embedding_type else "",
            pure=pure,
            leave_output=leave_output,
            keep_split=keep_split,
            prune_layers=parse_layers(prune_layers),
            buffer_bytes=parse_size(max_buffer) if max_buffer else BUFFER_BYTES,
        )
    except ValueError as error:
        raise EdgetuiError("bad_request", f"{str(error)[:1].upper()}{str(error)[1:]}.") from error
    lab = Lab()
    wanted = type_name.upper() if type_name else None
    if wanted is None or dry_run:
        status = asyncio.run(_predict(lab, model, wanted, options, as_json))
    else:
        wish = _Wish(output, yes, threads, options, imatrix, detach, as_json)
        status = asyncio.run(_make(lab, model, wanted, wish))
    raise typer.Exit(status)


async def _predict(lab: Lab, model: str, type_name: str | None, options: QuantOptions, as_json: bool) -> int:
    try:
        entry = await lab.catalog.find(model)
        calibrated = asyncio.create_task(lab.speed.calibration())
        async with aclosing(lab.quantizer.plan(entry, (type_name,) if type_name else (), options)) as stream:
            plans = [plan async for plan in stream]
        calibration = (await calibrated).value
        measured = max(calibration.threads, key=lambda part: part.threads) if calibration else None
    finally:
        await lab.close()
    if as_json:
        print_json([_plan_figures(entry, plan, measured) for plan in plans])
    else:
        _print_plans(entry, plans, measured, with_fallbacks=type_name is not None)
    return 1 if type_name and plans[0].problem else 0


async def _make(lab: Lab, model: str, type_name: str, wish: _Wish) -> int:
    try:
        entry = await lab.catalog.find(model)
        async with aclosing(lab.quantizer.plan(entry, (type_name,), wish.options)) as plans:
            plan = await anext(plans)
        if plan.problem is not None or (plan.needs_imatrix and not _may_make_imatrix(wish)):
            # Raises: what cannot be made is said before there is a question, or minutes go into a matrix for it.
            await lab.quantizer.startable_plan(entry, type_name, wish.options)
        agreed = _heed_caution(lab, entry, type_name, wish.options, wish.yes)
        options = await _with_imatrix(lab, entry, plan, wish)

        def start() -> Awaitable[JobRecord]:
            return lab.quantizer.start(
                entry,
                type_name,
                target=wish.output,
                allow_requantize=agreed,
                threads=wish.threads,
                options=options,
            )

        return await start_and_follow(lab, start, detach=wish.detach, as_json=wish.as_json)
    finally:
        await lab.close()


def _may_make_imatrix(wish: _Wish) -> bool:
    """Whether one was asked for, or someone is there to ask."""
    return wish.imatrix == MAKE or (not wish.detach and sys.stdin.isatty() and sys.stderr.isatty())


async def _with_imatrix(lab: Lab, entry: ModelEntry, plan: QuantizationPlan, wish: _Wish) -> QuantOptions:
    """The options with an importance matrix, made first where that is asked for."""
    if wish.imatrix != MAKE:
        question = f"{plan.type_name} needs an importance matrix: make one of Python's documentation first?"
        if not plan.needs_imatrix:
            return wish.options
        if not typer.confirm(question, default=True, err=True):
            raise EdgetuiError("cancelled", "Nothing was done.")
    request = lab.imatrices.request(entry, threads=wish.threads)
    known = {matrix.path for matrix in await lab.imatrices.made_of(entry)}
    if request.target in known:
        print(f"edgetui: Taking {plain_line(request.target)}, which is here.", file=sys.stderr)
    else:
        record = await lab.imatrices.start(request, entry)
        record = await follow(lab, record.job_id)
        if record.state != "succeeded":
            raise EdgetuiError("cancelled", "No importance matrix was made, so nothing was quantized.")
        print(f"edgetui: {plain_line(record.summary)}", file=sys.stderr)
    return msgspec.structs.replace(wish.options, imatrix=request.target)


def _heed_caution(lab: Lab, entry: ModelEntry, type_name: str, options: QuantOptions, yes: bool) -> bool:
    """Warn; where an explicit yes is needed, ask for it or refuse. Returns whether it was given."""
    caution = lab.quantizer.caution(entry, type_name, options)
    if caution is None:
        return yes
    if caution.needs_yes and not yes and not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise EdgetuiError("bad_request", f"{caution.sentence} Say yes to that with --yes.")
    print(f"edgetui: {plain_line(caution.sentence)}", file=sys.stderr)
    if caution.needs_yes and not yes and not typer.confirm("Quantize it all the same?", default=False, err=True):
        raise EdgetuiError("cancelled", "Nothing was done.")
    return True


def _plan_figures(entry: ModelEntry, plan: QuantizationPlan, measured: ThreadCalibration | None) -> dict[str, object]:
    from edgetui.core.quant_speed import speed_beside_f16

    speed = speed_beside_f16(plan.product_weights, measured)
    return {
        "type": plan.type_name,
        "size_bytes": plan.size_bytes,
        "bits_per_weight": plan.bits_per_weight,
        "share_of_source": plan.size_bytes / entry.size_bytes if plan.size_bytes else None,
        "decode_speed_over_f16": speed.value,
        "decode_speed_reason": speed.reason or None,
        "needs_imatrix": plan.needs_imatrix,
        "fallback_tensors": plan.fallback_tensors,
        "fallbacks": [msgspec.to_builtins(fallback) for fallback in plan.fallbacks],
        "files": plan.file_count,
        "problem": plan.problem,
    }


def _print_plans(
    entry: ModelEntry, plans: Sequence[QuantizationPlan], measured: ThreadCalibration | None, *, with_fallbacks: bool
) -> None:
    from edgetui.core.quant_speed import speed_beside_f16, speed_class
    from edgetui.core.quant_types import describe_type, fallback_lines, plan_note
    from edgetui.core.units import MISSING, format_bytes

    print(f"{'TYPE':<9}{'SIZE':>10}{'BPW':>7}{'SHARE':>7}{'SPEED':>7}  NOTE")
    for plan in plans:
        bits = MISSING if plan.bits_per_weight is None else f"{plan.bits_per_weight:.2f}"
        share = MISSING if plan.size_bytes is None else f"{plan.size_bytes / entry.size_bytes:.0%}"
        speed = speed_class(speed_beside_f16(plan.product_weights, measured).value)
        note = plan_note(plan.problem, plan.needs_imatrix, plan.fallback_tensors)
        purpose = describe_type(plan.type_name).purpose
        words = "; ".join(filter(None, (note, "" if plan.problem else purpose)))
        figures = f"{plan.type_name:<9}{format_bytes(plan.size_bytes):>10}{bits:>7}{share:>7}{speed:>7}"
        print(f"{figures}  {plain_line(words)}")
        if with_fallbacks:
            for line in fallback_lines(plan.fallbacks):
                print(f"  falls back: {plain_line(line)}")
    if measured is None:
        print("SPEED (decode over F16 on this CPU) is not known: edgetui calibrate measures it.", file=sys.stderr)
