"""`edgetui onnx`: what an ONNX graph takes, how fast it runs in a plain session, and what was measured."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from edgetui.cli.follow import print_json, start_and_follow
from edgetui.core.failures import EdgetuiError
from edgetui.core.plain_text import plain_line

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from edgetui.core.jobs import JobRecord
    from edgetui.core.onnx_latency import OnnxLatencyRecord, OnnxProfile, OnnxRunSettings
    from edgetui.services.lab import Lab

onnx = typer.Typer(
    help="Run any ONNX graph in a plain ONNX Runtime session: latency, throughput, profile.", rich_markup_mode=None
)
_BAR_CELLS = 24
_MODEL = typer.Argument(help="Name or path of an ONNX model; see `edgetui models`.")
_JSON = typer.Option("--json", help="Print JSON.")


@onnx.command()
def run(
    model: Annotated[str, _MODEL],
    sizes: Annotated[
        list[str] | None,
        typer.Option("--input", "-i", help="batch=1 for a free dimension, input_ids=1x128 for an input; repeatable."),
    ] = None,
    file: Annotated[str, typer.Option(help=".npz with an array for each input, or .npy for the only one.")] = "",
    provider: Annotated[str, typer.Option(help="Execution provider; auto takes the first that is there.")] = "auto",
    opt_level: Annotated[str, typer.Option(help="disabled, basic, extended or all.")] = "all",
    threads: Annotated[int, typer.Option("-t", "--threads", help="Within operators; 0: one a physical core.")] = 0,
    inter_threads: Annotated[int, typer.Option(help="Between operators, in parallel mode.")] = 0,
    mode: Annotated[str, typer.Option(help="sequential or parallel.")] = "sequential",
    warm_up: Annotated[int, typer.Option(help="Runs that do not count.")] = 3,
    runs: Annotated[int, typer.Option("-r", "--runs", help="Runs that count; 0 fills the budget.")] = 0,
    budget: Annotated[float, typer.Option(help="Seconds to measure for, without --runs.")] = 5.0,
    profile: Annotated[bool, typer.Option("--profile", help="Profile some more runs and keep the trace.")] = False,
    seed: Annotated[int, typer.Option(help="Of synthetic inputs.")] = 0,
    detach: Annotated[
        bool, typer.Option("--detach", help="Print the job's id and return; see `edgetui jobs`.")
    ] = False,
    as_json: Annotated[bool, _JSON] = False,
) -> None:
    """Measure latency and throughput of a graph."""
    from edgetui.services.lab import Lab

    settings = _settings(
        sizes=", ".join(sizes or ()),
        file=file,
        provider=provider,
        opt_level=opt_level,
        threads=threads,
        inter_threads=inter_threads,
        mode=mode,
        warm_up=warm_up,
        runs=runs,
        budget_s=budget,
        profile=profile,
        seed=seed,
    )
    raise typer.Exit(asyncio.run(_run(Lab(), model, settings, detach, as_json)))


@onnx.command()
def inputs(model: Annotated[str, _MODEL], as_json: Annotated[bool, _JSON] = False) -> None:
    """Name, type and shape of what a graph takes and gives."""
    from edgetui.services.lab import Lab

    asyncio.run(_inputs(Lab(), model, as_json))


@onnx.command()
def results(
    model: Annotated[str | None, typer.Argument(help="Only those of this model.")] = None,
    show: Annotated[int | None, typer.Option(help="Everything of the result with this number.")] = None,
    compare: Annotated[
        tuple[int, int] | None, typer.Option(help="Numbers of two results: how much faster the first is.")
    ] = None,
    commands: Annotated[bool, typer.Option("--commands", help="With --show: print only what repeats it.")] = False,
    as_json: Annotated[bool, _JSON] = False,
) -> None:
    """List what was measured, show one result with the commands that repeat it, or compare two."""
    from edgetui.services.lab import Lab

    if commands and show is None:
        raise EdgetuiError("bad_request", "--commands prints what repeats one result: give its number with --show.")
    asyncio.run(_results(Lab(), model, show, compare, commands, as_json))


def _settings(**asked: object) -> OnnxRunSettings:
    import msgspec

    from edgetui.core.onnx_latency import OnnxRunSettings

    try:
        return msgspec.convert(asked, OnnxRunSettings)
    except msgspec.ValidationError as error:
        reason, _, where = str(error).replace("`", "").partition(" - at $.")
        option = where.removesuffix("_s").replace("_", "-")
        raise EdgetuiError(
            "bad_request", f"The value for {option} cannot be used: {reason[:1].lower()}{reason[1:]}."
        ) from error


async def _run(lab: Lab, model: str, settings: OnnxRunSettings, detach: bool, as_json: bool) -> int:
    try:
        entry = await lab.catalog.find(model)

        def start() -> Awaitable[JobRecord]:
            return lab.onnx_sessions.start(entry, settings)

        found: list[JobRecord] = []
        status = await start_and_follow(lab, start, detach=detach, as_json=as_json, show=found.append)
        for record in found:
            measured = [each for each in await lab.onnx_sessions.history() if each.job_id == record.job_id]
            for each in measured:
                _print(each, as_json)
        return status
    finally:
        await lab.close()


async def _inputs(lab: Lab, model: str, as_json: bool) -> None:
    from edgetui.core.onnx_latency_text import describe

    try:
        entry = await lab.catalog.find(model)
        faces = await lab.onnx_sessions.faces(entry)
    finally:
        await lab.close()
    if as_json:
        import msgspec

        print_json(msgspec.to_builtins(faces._asdict()))
        return
    for kind, values in (("input", faces.inputs), ("output", faces.outputs)):
        for value in values:
            print(f"{kind:<8}{plain_line(value.name)}  {plain_line(describe(value))}")


async def _results(
    lab: Lab,
    model: str | None,
    show: int | None,
    compare: tuple[int, int] | None,
    commands: bool,
    as_json: bool,
) -> None:
    sessions = lab.onnx_sessions
    try:
        if show is not None:
            record = await sessions.result(show)
            if not commands:
                _print(record, as_json)
            if commands or not as_json:
                _print_commands(record, with_gap=not commands)
            return
        if compare is not None:
            _print_comparison(await sessions.result(compare[0]), await sessions.result(compare[1]), as_json)
            return
        records = await sessions.history()
    finally:
        await lab.close()
    chosen = [record for record in records if model in (None, record.row.model_name)]
    if model is not None and not chosen:
        raise EdgetuiError(
            "not_found", f"Nothing has been measured of {model}: edgetui onnx results lists every result."
        )
    _list(chosen, as_json)


def _list(records: Sequence[OnnxLatencyRecord], as_json: bool) -> None:
    if as_json:
        print_json([_as_object(record) for record in records])
        return
    if not records:
        print("Nothing has been measured yet: edgetui onnx run MODEL.", file=sys.stderr)
        return
    from edgetui.core.onnx_latency_text import COLUMNS, cells

    table = [COLUMNS, *map(cells, records)]
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    for row in table:
        print("  ".join(plain_line(cell).ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _print(record: OnnxLatencyRecord, as_json: bool) -> None:
    if as_json:
        print_json(_as_object(record))
        return
    from edgetui.core.onnx_latency_text import lines

    for label, figure in (("Result", str(record.record_id)), *lines(record.row)):
        print(f"{plain_line(label):<24}{plain_line(figure)}")
    if record.row.profile is not None:
        _print_profile(record.row.profile)


def _print_commands(record: OnnxLatencyRecord, *, with_gap: bool) -> None:
    from edgetui.core.repeat_commands import as_text
    from edgetui.core.repeat_session import latency_commands

    print(("\n" if with_gap else "") + as_text(latency_commands(record.row)), end="")


def _print_profile(profile: OnnxProfile) -> None:
    from edgetui.core.onnx_latency_text import profile_title, share

    print(f"\n{plain_line(profile_title(profile))}")
    for title, times in (("by type", profile.by_type[:15]), ("by node", profile.by_node)):
        print(f"\n{title:<40}  {'calls':>7}  {'ms':>9}  share")
        for each in times:
            part = share(each, profile)
            name = plain_line(f"{each.kind} {each.name}" if each.kind else each.name)
            bar = "#" * round(part * _BAR_CELLS)
            print(f"{name[:40]:<40}  {each.count:>7}  {each.total_us / 1e3:>9.3f}  {part:>5.1%}  {bar}".rstrip())


def _print_comparison(first: OnnxLatencyRecord, second: OnnxLatencyRecord, as_json: bool) -> None:
    from edgetui.core.onnx_latency import compare
    from edgetui.core.onnx_latency_text import compared

    found = compare(first.row, second.row)
    if as_json:
        import msgspec

        print_json(msgspec.to_builtins(found._asdict()))
        return
    for label, figure in compared(found, first.row, second.row):
        print(f"{label:<24}{plain_line(figure)}")


def _as_object(record: OnnxLatencyRecord) -> dict[str, object]:
    import msgspec

    row = record.row
    figures = {f"p{round(share * 100)}_ms": row.percentile_ms(share) for share in (0.5, 0.9, 0.95, 0.99)}
    figures |= {"mean_ms": row.mean_ms, "min_ms": row.percentile_ms(0.0), "max_ms": row.percentile_ms(1.0)}
    return {
        "id": record.record_id,
        "job": record.job_id,
        **figures,
        "runs_per_s": row.runs_per_s,
        **msgspec.to_builtins(row),
    }
