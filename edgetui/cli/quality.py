"""`edgetui quality`: measure what a build of a model has lost, and look at what was measured."""

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
    from edgetui.core.models import ModelEntry
    from edgetui.core.quality import QualityRecord, QualitySettings
    from edgetui.services.lab import Lab

_NO_BASE = "none"


def quality(
    model: Annotated[str | None, typer.Argument(help="Name or path of a model; see `edgetui models`.")] = None,
    base: Annotated[
        str | None,
        typer.Option(help="Unquantized parent to compare with, or none; else it is found by provenance."),
    ] = None,
    text: Annotated[str, typer.Option(help="topics, wikitext-2 or a UTF-8 text file.")] = "topics",
    context: Annotated[int, typer.Option(help="Tokens a chunk; those of its second half are scored.")] = 512,
    chunks: Annotated[int, typer.Option(help="How many chunks of the text; 0 for all.")] = 16,
    tasks: Annotated[bool, typer.Option("--tasks/--no-tasks", help="Try the built-in tasks too.")] = True,
    threads: Annotated[int, typer.Option("-t", "--threads", help="0 takes one a physical core.")] = 0,
    history: Annotated[bool, typer.Option("--history", help="Print every row measured so far.")] = False,
    detach: Annotated[
        bool, typer.Option("--detach", help="Print the job's id and return; see `edgetui jobs`.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure perplexity, KL divergence from the unquantized parent, and tasks, by llama-perplexity's definitions."""
    from edgetui.services.lab import Lab

    if history:
        asyncio.run(_print_history(Lab(), model, as_json))
        return
    if model is None:
        raise EdgetuiError("bad_request", "Name a model to measure (edgetui models lists them), or ask for --history.")
    settings = _settings(text, context, chunks, tasks, threads)
    raise typer.Exit(asyncio.run(_measure(Lab(), model, base, settings, detach, as_json)))


def _settings(text: str, context: int, chunks: int, tasks: bool, threads: int) -> QualitySettings:
    import msgspec

    from edgetui.core.quality import QualitySettings

    asked = {"text": text, "context_tokens": context, "chunks": chunks, "tasks": tasks, "threads": threads}
    try:
        return msgspec.convert(asked, QualitySettings)
    except msgspec.ValidationError as error:
        reason, _, where = str(error).replace("`", "").partition(" - at $.")
        option = where.removesuffix("_tokens").replace("_", "-")
        raise EdgetuiError(
            "bad_request", f"The value for {option} cannot be used: {reason[:1].lower()}{reason[1:]}."
        ) from error


async def _measure(
    lab: Lab, model: str, base: str | None, settings: QualitySettings, detach: bool, as_json: bool
) -> int:
    try:
        entry = await lab.catalog.find(model)
        parent = await _parent(lab, entry, base)

        def start() -> Awaitable[JobRecord]:
            return lab.quality.start(entry, parent, settings)

        found: list[JobRecord] = []
        status = await start_and_follow(lab, start, detach=detach, as_json=as_json, show=found.append)
        for record in found:
            measured = [each for each in await lab.quality.history() if each.job_id == record.job_id]
            _print(measured, as_json, duration_s=record.duration_s(0))
        return status
    finally:
        await lab.close()


async def _parent(lab: Lab, entry: ModelEntry, named: str | None) -> ModelEntry | None:
    """What to compare with, told on stderr where nobody named it."""
    if named == _NO_BASE:
        return None
    if named is not None:
        return await lab.catalog.find(named)
    parent = await lab.quality.base_of(entry)
    if parent is None:
        told = f"Nothing here is known to be the unquantized parent of {entry.name}: only its perplexity is measured;"
        told += " name the parent with --base."
    else:
        told = f"{entry.name} is compared with {parent.name}."
        if parent.recovered_from is not None:
            told += f" Its own weights passed through {parent.recovered_from}, so that is what the figures are against."
    print(f"edgetui: {plain_line(told)}", file=sys.stderr)
    return parent


async def _print_history(lab: Lab, model: str | None, as_json: bool) -> None:
    try:
        records = await lab.quality.history()
    finally:
        await lab.close()
    chosen = [record for record in records if model in (None, record.row.model_name)]
    if model is not None and not chosen:
        raise EdgetuiError(
            "not_found", f"Nothing has been measured of {model}: edgetui quality --history lists every row."
        )
    _print(chosen, as_json)


def _print(records: Sequence[QualityRecord], as_json: bool, duration_s: float | None = None) -> None:
    """`duration_s` is that of the job which has just ended, loading and the parent's baseline included."""
    if as_json:
        import msgspec

        of_job = {} if duration_s is None else {"duration_s": duration_s}
        print_json(
            [{**msgspec.to_builtins(each.row), "id": each.record_id, "job": each.job_id, **of_job} for each in records]
        )
        return
    if not records:
        print("Nothing has been measured yet: edgetui quality MODEL.", file=sys.stderr)
    from edgetui.core.quality_text import lines

    for number, record in enumerate(records):
        if number:
            print()
        for label, figure in lines(record.row):
            print(f"{label:<22}{plain_line(figure)}")
