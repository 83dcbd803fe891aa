"""Following a job on the command line to its end, or leaving it to itself."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from contextlib import aclosing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgetui.core.failures import EdgetuiError
from edgetui.core.jobs import CANCELLED
from edgetui.core.plain_text import plain_line

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from edgetui.core.jobs import JobRecord
    from edgetui.services.lab import Lab


async def start_and_follow(
    lab: Lab,
    start: Callable[[], Awaitable[JobRecord]],
    *,
    detach: bool,
    as_json: bool,
    show: Callable[[JobRecord], None] | None = None,
) -> int:
    """Start a job and show its progress to the end; returns the exit status.

    `show` prints what came of it where the file's path and its figures are not it. Ctrl-C cancels the job; with
    `detach` only its id is printed. Raises the `EdgetuiError` that the job failed with.
    """
    interrupted = asyncio.Event()
    # From here on Ctrl-C must not leave a job that nobody follows.
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, interrupted.set)
    record = await start()
    if detach and not interrupted.is_set():
        if as_json:
            print_json({"job": record.job_id, "state": record.state, "output": record.output})
        else:
            print(record.job_id)
        return 0
    record = await follow(lab, record.job_id, cancel=interrupted.is_set())
    if record.state == "cancelled":
        kept = "" if record.summary == CANCELLED else record.summary
        print(f"edgetui: {plain_line(kept) or 'It was cancelled; nothing was left.'}", file=sys.stderr)
        return 130
    if record.state != "succeeded":
        raise EdgetuiError("crashed", record.summary or f"Job {record.job_id} does not end: see `edgetui jobs`.")
    if show is not None:
        show(record)
    elif as_json:
        print_json(_result(record))
    else:
        if record.output:
            print(record.output)
        print(f"edgetui: {plain_line(record.summary)}", file=sys.stderr)
    return 0


async def follow(lab: Lab, job_id: str, *, cancel: bool = False) -> JobRecord:
    """Show progress to the end; the first Ctrl-C cancels the job. Raises the `EdgetuiError` that it failed with."""
    from edgetui.cli.progress import ProgressLine
    from edgetui.worker.job_events import JobFailed, JobProgress

    cancelling: asyncio.Task[Any] | None = None

    def interrupt() -> None:
        nonlocal cancelling
        if cancelling is None:
            cancelling = asyncio.create_task(lab.jobs.cancel(job_id))

    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, interrupt)
    if cancel:
        interrupt()
    with ProgressLine() as line:
        async with aclosing(lab.jobs.watch(job_id)) as events:
            async for event in events:
                if isinstance(event, JobProgress):
                    line.show(await lab.jobs.get(job_id))
                elif isinstance(event, JobFailed):
                    if cancelling is None and event.failure.kind != "cancelled":
                        raise EdgetuiError.of(event.failure)
                    break
    if cancelling is not None:
        # It may have ended by itself before the wish arrived; what it says of itself counts.
        with suppress(EdgetuiError):
            await cancelling
    return await lab.jobs.get(job_id)


def _result(record: JobRecord) -> dict[str, object]:
    return {
        "job": record.job_id,
        "state": record.state,
        "output": record.output,
        "size_bytes": size_of(record.output),
        "duration_s": record.duration_s(0),
    }


def size_of(made: str | None) -> int | None:
    """Bytes of a file, or of all files of a folder; None where there is nothing."""
    if made is None or not os.path.exists(made):
        return None
    path = Path(made)
    files = [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files)


def print_json(value: object) -> None:
    """As every command prints it."""
    print(json.dumps(value, indent=2, ensure_ascii=False))
