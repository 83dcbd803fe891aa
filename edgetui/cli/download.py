"""`edgetui download`: bring a model from the hub; the work is a job like any other."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgetui.core.failures import EdgetuiError
from edgetui.core.plain_text import plain_line

if TYPE_CHECKING:
    from edgetui.core.hub import HubPage, HubVariant
    from edgetui.services.lab import Lab


def download(
    repo: Annotated[str, typer.Argument(help="AUTHOR/NAME on the hub.")],
    variant: Annotated[
        str | None, typer.Argument(metavar="VARIANT", help="Name or type, such as Q4_K_M; see `edgetui show`.")
    ] = None,
    revision: Annotated[str, typer.Option("--revision", help="Branch, tag or commit.")] = "main",
    first: Annotated[bool, typer.Option("--first", help="Before all other downloads that wait.")] = False,
    detach: Annotated[
        bool, typer.Option("--detach", help="Print the job's id and return; see `edgetui jobs`.")
    ] = False,
) -> None:
    """Download one variant and check it against the hub's hashes; Ctrl-C pauses, `edgetui jobs restart` goes on."""
    raise typer.Exit(asyncio.run(_download(repo, variant, revision, first, detach)))


async def _download(repo: str, wanted: str | None, revision: str, first: bool, detach: bool) -> int:
    from edgetui.services.lab import Lab

    lab = Lab()
    try:
        told = await lab.hub.page(repo, revision)
        if told.problem:
            raise EdgetuiError("network", told.problem)
        chosen = _chosen(told.value, wanted)
        record = await lab.downloads.start(told.value, chosen, priority=0 if first else 5)
        if detach:
            print(record.job_id)
            return 0
        return await _follow(lab, record.job_id)
    finally:
        await lab.close()


def _chosen(page: HubPage, wanted: str | None) -> HubVariant:
    from edgetui.core.hub_text import chosen_variant, variant_size

    names = "; ".join(f"{each.name} ({variant_size(each)})" for each in page.variants)
    if not page.variants:
        raise EdgetuiError("unsupported", f"{page.model.repo} has no files that edgetui knows as a model.")
    if wanted is None:
        if len(page.variants) == 1:
            return page.variants[0]
        raise EdgetuiError("bad_request", f"Name one of the variants of {page.model.repo}: {names}.")
    found = chosen_variant(page, wanted)
    if found is None:
        raise EdgetuiError("bad_request", f"{wanted!r} is not one variant of {page.model.repo}; there are {names}.")
    return found


async def _follow(lab: Lab, job_id: str) -> int:
    """Show progress to the end; the first Ctrl-C pauses the job."""
    from edgetui.cli.progress import ProgressLine
    from edgetui.worker.job_events import JobFailed, JobProgress

    pausing: asyncio.Task[Any] | None = None

    def interrupt() -> None:
        nonlocal pausing
        if pausing is None:
            pausing = asyncio.create_task(lab.jobs.pause(job_id))

    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, interrupt)
    with ProgressLine() as line:
        async with aclosing(lab.jobs.watch(job_id)) as events:
            async for event in events:
                if isinstance(event, JobProgress):
                    line.show(await lab.jobs.get(job_id))
                elif isinstance(event, JobFailed) and event.failure.kind != "paused":
                    raise EdgetuiError.of(event.failure)
    if pausing is not None:
        with suppress(EdgetuiError):
            await pausing
    record = await lab.jobs.get(job_id)
    if record.state == "paused":
        print(f"edgetui: {record.summary} `edgetui jobs restart {job_id}` goes on.", file=sys.stderr)
        return 130
    print(record.output)
    print(f"edgetui: {plain_line(record.summary)}", file=sys.stderr)
    return 0
