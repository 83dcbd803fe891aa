"""`edgetui bench`: measure models, and look at what was measured."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from edgetui.core.failures import EdgetuiError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetui.core.bench import BenchRecord, BenchSettings
    from edgetui.core.models import ModelEntry
    from edgetui.services.lab import Lab


def bench(
    models: Annotated[
        list[str] | None, typer.Argument(help="Names or paths of models; each is measured in turn.", show_default=False)
    ] = None,
    prompt: Annotated[int, typer.Option("-p", "--n-prompt", help="Prefill test of so many tokens; 0: none.")] = 512,
    generate: Annotated[int, typer.Option("-n", "--n-gen", help="Decode test of so many tokens; 0: none.")] = 128,
    depth: Annotated[int, typer.Option("-d", "--n-depth", help="Tokens in the KV cache before each test.")] = 0,
    repetitions: Annotated[int, typer.Option("-r", "--repetitions")] = 5,
    threads: Annotated[int, typer.Option("-t", "--threads", help="0: one a physical core.")] = 0,
    batch: Annotated[int, typer.Option("-b", "--batch", help="Prompt tokens handed over at once.")] = 2048,
    kv: Annotated[str, typer.Option("--kv", help="KV-cache type, such as f16 or q8_0.")] = "f16",
    history: Annotated[bool, typer.Option("--history", help="Print every row measured so far.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure prefill and decode in llama-bench's terms, and keep the rows."""
    if history:
        status = asyncio.run(_print_history(models or [], as_json))
    elif models:
        settings = _settings(prompt, generate, depth, repetitions, threads, batch, kv)
        status = asyncio.run(_measure(models, settings, as_json))
    else:
        raise EdgetuiError("bad_request", "Name a model to measure (edgetui models lists them), or ask for --history.")
    raise typer.Exit(status)


def _settings(
    prompt: int, generate: int, depth: int, repetitions: int, threads: int, batch: int, kv: str
) -> BenchSettings:
    import msgspec

    from edgetui.core.bench import BenchSettings

    try:
        return msgspec.convert(
            {
                "prompt_tokens": prompt,
                "generated_tokens": generate,
                "depth_tokens": depth,
                "repetitions": repetitions,
                "threads": threads,
                "batch_tokens": batch,
                "kv_cache_type": kv,
            },
            BenchSettings,
        )
    except msgspec.ValidationError as error:
        reason, _, where = str(error).replace("`", "").partition(" - at $.")
        raise EdgetuiError(
            "bad_request",
            f"The value for {where.replace('_', '-')} cannot be used: {reason[:1].lower()}{reason[1:]}.",
        ) from error


async def _measure(names: Sequence[str], settings: BenchSettings, as_json: bool) -> int:
    from edgetui.services.lab import Lab

    records: list[BenchRecord] = []
    interrupted = asyncio.Event()
    loop = asyncio.get_running_loop()
    lab = Lab()
    # From the start: Ctrl-C while a job is being started must not leave it running.
    loop.add_signal_handler(signal.SIGINT, interrupted.set)
    try:
        # All are looked at first: a wrong one must not show after an hour of measuring.
        entries = [await lab.catalog.find(name) for name in names]
        for entry in entries:
            lab.bench.check(entry, settings)
        for entry in entries:
            if not interrupted.is_set():
                await _measure_one(lab, entry, settings, interrupted, records)
    except EdgetuiError:
        if records:
            _print(records, as_json)
        raise
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        await lab.close()
    # Complete rows are in the history whatever happened; whoever interrupts wants to see them too.
    if records or not interrupted.is_set():
        _print(records, as_json)
    return 130 if interrupted.is_set() else 0


async def _measure_one(
    lab: Lab, entry: ModelEntry, settings: BenchSettings, interrupted: asyncio.Event, records: list[BenchRecord]
) -> None:
    """Measure one model and add its rows; ends early when the person pressed Ctrl-C."""
    from edgetui.worker.protocol import JobFailed, JobProgress

    job = await lab.bench.start(entry, settings)
    cancelling = asyncio.create_task(_cancel_when(interrupted, lab, job.job_id))
    failure: JobFailed | None = None
    try:
        async for event in lab.jobs.watch(job.job_id):
            if isinstance(event, JobProgress):
                print(f"{entry.name}: {event.note}", file=sys.stderr)
            elif isinstance(event, JobFailed):
                failure = event
    finally:
        if not interrupted.is_set():
            cancelling.cancel()
        await asyncio.wait([cancelling])
    measured = [record for record in await lab.bench.history() if record.job_id == job.job_id]
    records += reversed(measured)
    if failure is not None and not interrupted.is_set():
        raise EdgetuiError.of(failure.failure)


async def _cancel_when(interrupted: asyncio.Event, lab: Lab, job_id: str) -> None:
    await interrupted.wait()
    # One that ended by itself meanwhile cannot be cancelled any more.
    with suppress(EdgetuiError):
        await lab.jobs.cancel(job_id)


async def _print_history(names: Sequence[str], as_json: bool) -> int:
    from edgetui.services.lab import Lab

    lab = Lab()
    try:
        records = await lab.bench.history()
    finally:
        await lab.close()
    chosen = [record for record in records if not names or record.row.model_name in names]
    if names and not chosen:
        raise EdgetuiError(
            "not_found", f"Nothing has been measured of {' or '.join(names)}: edgetui bench --history lists every row."
        )
    _print(chosen, as_json)
    return 0


def _print(records: Sequence[BenchRecord], as_json: bool) -> None:
    if as_json:
        import json

        print(json.dumps([_as_json(record) for record in records], indent=2))
        return
    if not records:
        print("Nothing has been measured yet: edgetui bench MODEL.", file=sys.stderr)
        return
    from edgetui.core.bench_table import table

    rows = [tuple(cell.replace("|", "\\|") for cell in row) for row in table(records)]
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for number, row in enumerate(rows):
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |")
        if number == 0:
            print("| " + " | ".join("-" * width for width in widths) + " |")


def _as_json(record: BenchRecord) -> dict[str, object]:
    import msgspec

    row = record.row
    return {
        **msgspec.to_builtins(row),
        "id": record.record_id,
        "name": row.name,
        "avg_ts": row.mean_tps,
        "stddev_ts": row.sd_tps,
        "samples_ts": row.samples_tps,
        "joules_per_token": row.joules_per_token,
        "machine": msgspec.to_builtins(record.machine),
    }
