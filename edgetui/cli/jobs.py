"""`edgetui jobs`: what runs, what is done, and what can be done about it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from edgetui.core.jobs import JobRecord
    from edgetui.services.jobs import Jobs

jobs = typer.Typer(help="List, read, cancel, remove and restart jobs.", rich_markup_mode=None)

JobId = Annotated[str, typer.Argument(metavar="ID", help="As the list shows it, or an ending of it that is unique.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@jobs.callback(invoke_without_command=True)
def overview(context: typer.Context, as_json: AsJson = False) -> None:
    """List all jobs when nothing else is asked."""
    if context.invoked_subcommand is None:
        _list(as_json)


@jobs.command("list")
def list_jobs(as_json: AsJson = False) -> None:
    """List all jobs, newest first."""
    _list(as_json)


@jobs.command()
def log(
    job_id: JobId,
    lines: Annotated[int, typer.Option("-n", "--lines", min=1, help="How many of the last lines.")] = 200,
    as_json: AsJson = False,
) -> None:
    """Print the end of a job's log."""
    tail = _with_jobs(lambda service: service.log_tail(job_id, lines))
    if as_json:
        _print_json(list(tail))
    else:
        for line in tail:
            print(line)


@jobs.command()
def cancel(job_id: JobId, as_json: AsJson = False) -> None:
    """End a running job; nothing of it is left."""
    _print_one(_with_jobs(lambda service: service.cancel(job_id)), as_json)


@jobs.command()
def pause(job_id: JobId, as_json: AsJson = False) -> None:
    """End a download for now; restart goes on with it."""
    _print_one(_with_jobs(lambda service: service.pause(job_id)), as_json)


@jobs.command()
def first(job_id: JobId, as_json: AsJson = False) -> None:
    """Let a download that waits be the next."""
    _print_one(_with_jobs(lambda service: service.put_first(job_id)), as_json)


@jobs.command()
def restart(job_id: JobId, as_json: AsJson = False) -> None:
    """Run a job again that was interrupted, paused, cancelled or failed."""
    _print_one(_with_jobs(lambda service: service.restart(job_id)), as_json)


@jobs.command()
def remove(job_id: JobId, as_json: AsJson = False) -> None:
    """Forget a job and its log; the file that it made stays."""

    async def get_and_remove(service: Jobs) -> JobRecord:
        record = await service.get(job_id)
        await service.remove(record.job_id)
        return record

    record = _with_jobs(get_and_remove)
    if as_json:
        _print_json({"removed": record.job_id})
    else:
        print(f"{record.job_id} removed")


def _list(as_json: bool) -> None:
    records: tuple[JobRecord, ...] = _with_jobs(lambda service: service.list())
    if as_json:
        _print_json([_figures(record) for record in records])
    elif not records:
        print("No jobs yet: `edgetui quantize` and `edgetui bench` start some.")
    else:
        for record in records:
            print(_line(record))


def _with_jobs(action: Callable[[Jobs], Awaitable[Any]]) -> Any:
    from edgetui.services.lab import Lab

    async def run() -> Any:
        lab = Lab()
        try:
            return await action(lab.jobs)
        finally:
            await lab.close()

    return asyncio.run(run())


def _print_one(record: JobRecord, as_json: bool) -> None:
    if as_json:
        _print_json(_figures(record))
    else:
        print(_line(record))


def _line(record: JobRecord) -> str:
    from edgetui.core.job_text import STATE_SIGNS, STATE_WORDS, job_title, progress_line
    from edgetui.core.plain_text import plain_line

    state = f"{STATE_SIGNS[record.state]} {STATE_WORDS[record.state]}"
    about = progress_line(record, time.time()) if record.is_running else record.summary
    return plain_line(f"{record.job_id}  {state:<13}  {job_title(record)}: {about}")


def _figures(record: JobRecord) -> dict[str, object]:
    import msgspec

    now = time.time()
    return {
        **msgspec.structs.asdict(record),
        "fraction": record.fraction,
        "bytes_per_s": record.bytes_per_s,
        "remaining_s": record.remaining_s(now),
        "duration_s": record.duration_s(now),
    }


def _print_json(value: object) -> None:
    import json

    print(json.dumps(value, indent=2, ensure_ascii=False))
