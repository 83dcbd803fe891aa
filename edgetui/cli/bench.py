"""`edgetui bench`: measure models, and look at what was measured."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from edgetui.cli import bench_modes, bench_options
from edgetui.core.failures import EdgetuiError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetui.core.bench import BenchRecord
    from edgetui.core.bench_matrix import Matrix
    from edgetui.core.jobs import JobRecord
    from edgetui.services.lab import Lab


def bench(
    models: Annotated[
        list[str] | None, typer.Argument(help="Names or paths of models; each is measured in turn.", show_default=False)
    ] = None,
    prompt: Annotated[str, typer.Option("-p", "--n-prompt", help="Prefill tests of so many tokens; 0: none.")] = "512",
    generate: Annotated[str, typer.Option("-n", "--n-gen", help="Decode tests of so many tokens; 0: none.")] = "128",
    both: Annotated[
        list[str] | None,
        typer.Option("-pg", "--pg", help="A prompt and a generation in one time, such as 512,128.", show_default=False),
    ] = None,
    depth: Annotated[str, typer.Option("-d", "--n-depth", help="Tokens in the KV cache before each test.")] = "0",
    repetitions: Annotated[int, typer.Option("-r", "--repetitions")] = 5,
    until: Annotated[
        str, typer.Option("--until", help="Repeat on until the mean is known to so many percent.", show_default=False)
    ] = "",
    budget: Annotated[
        str, typer.Option("--budget", help="Most time for the repetitions of a test, such as 60s.", show_default=False)
    ] = "",
    threads: Annotated[str, typer.Option("-t", "--threads", help="0: one a physical core.")] = "0",
    batch: Annotated[str, typer.Option("-b", "--batch", help="Prompt tokens handed over at once.")] = "2048",
    ubatch: Annotated[str, typer.Option("-ub", "--ubatch", help="Prompt tokens computed together.")] = "512",
    kv: Annotated[str, typer.Option("-ctk", "--kv", help="KV-cache type, such as f16 or q8_0.")] = "f16",
    kv_v: Annotated[str, typer.Option("-ctv", "--kv-v", help="Type of the V cache.", show_default="as K")] = "",
    flash_attention: Annotated[str, typer.Option("-fa", "--flash-attn", help="on, off or auto.")] = "auto",
    gpu_layers: Annotated[str, typer.Option("-ngl", "--gpu-layers", help="-1: all.")] = "-1",
    mmap: Annotated[str, typer.Option("-mmp", "--mmap", help="Map the file: on, off, or auto as a chat does.")] = "on",
    huge_pages: Annotated[
        str, typer.Option("--huge-pages", help="Huge pages for what is not mapped: on or off.")
    ] = "off",
    soak: Annotated[
        str, typer.Option("--soak", help="Decode for so long, such as 5m, and watch the machine.", show_default=False)
    ] = "",
    sample: Annotated[
        str, typer.Option("--sample", help="Time of a point of a soak, such as 5s.", show_default="1s")
    ] = "",
    ab: Annotated[
        bool, typer.Option("--ab", help="Compare two models, or one with --a and --b, by turns.", show_default=False)
    ] = False,
    side_a: Annotated[str, typer.Option("--a", help="Settings of A, such as threads=1.", show_default=False)] = "",
    side_b: Annotated[str, typer.Option("--b", help="Settings of B.", show_default=False)] = "",
    ttft: Annotated[
        bool, typer.Option("--ttft", help="Time to the first token at lengths up to -p.", show_default=False)
    ] = False,
    load_time: Annotated[
        bool, typer.Option("--load-time", help="Time to load, from the disk and from memory.", show_default=False)
    ] = False,
    history: Annotated[bool, typer.Option("--history", help="Print every row measured so far.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure prefill and decode in llama-bench's terms, and keep the rows.

    Numbers and types may be lists, such as -t 1,2 -fa on,off: every combination is measured.
    """
    if history:
        raise typer.Exit(asyncio.run(_print_history(models or [], as_json)))
    if not models:
        raise EdgetuiError("bad_request", "Name a model to measure (edgetui models lists them), or ask for --history.")
    matrix = bench_options.matrix(
        {
            "prompt_tokens": bench_options.numbers(prompt, "-p"),
            "generated_tokens": bench_options.numbers(generate, "-n"),
            "prompt_and_generated": [bench_options.pair(each) for each in both or ()],
            "depth_tokens": bench_options.numbers(depth, "-d"),
            "threads": bench_options.thread_counts(threads),
            "batch_tokens": bench_options.numbers(batch, "-b"),
            "physical_batch_tokens": bench_options.numbers(ubatch, "-ub"),
            "kv_cache_type": bench_options.words(kv),
            "kv_cache_type_v": bench_options.words(kv_v) if kv_v else (None,),
            "flash_attention": bench_options.switches(flash_attention),
            "gpu_layers": bench_options.numbers(gpu_layers, "-ngl"),
            "use_mmap": bench_options.mapping(mmap, "-mmp"),
            "huge_pages": bench_options.on_or_off(huge_pages, "--huge-pages"),
            "repetitions": repetitions,
            "until_percent": bench_options.percent(until) if until else 0,
            "budget_s": bench_options.seconds(budget, "--budget") if budget else 0,
        }
    )
    studies = {"--soak": bool(soak), "--ab": ab or bool(side_a or side_b), "--ttft": ttft, "--load-time": load_time}
    chosen = [option for option, is_asked in studies.items() if is_asked]
    if len(chosen) > 1:
        raise EdgetuiError("bad_request", "--soak, --ab, --ttft and --load-time are measured one at a time.")
    if sample and not soak:
        raise EdgetuiError("bad_request", "--sample belongs to a soak: add --soak with its length, such as --soak 5m.")
    if chosen:
        bench_options.require_single(matrix, chosen[0])
    if soak or load_time:
        model = only(models, "--soak" if soak else "--load-time")
        start = matrix.cells()[0]
        if soak:
            sample_s = bench_options.seconds(sample or "1s", "--sample")
            work = bench_modes.soak(
                model, bench_options.seconds(soak, "--soak"), start, matrix.depth_tokens[0], sample_s, as_json
            )
        else:
            work = bench_modes.load_time(model, repetitions, start, as_json)
    elif ab or side_a or side_b:
        start = matrix.cells()[0]
        sides = (bench_options.side_settings(side_a, start), bench_options.side_settings(side_b, start))
        work = bench_modes.ab(models, sides, bench_modes.ab_settings(matrix), as_json)
    else:
        work = _measure(models, bench_modes.ttft_matrix(matrix) if ttft else matrix, as_json, with_ttft=ttft)
    raise typer.Exit(asyncio.run(work))


def only(models: Sequence[str], option: str) -> str:
    """The one model; raises `EdgetuiError("bad_request")` for several."""
    if len(models) > 1:
        raise EdgetuiError("bad_request", f"{option} takes one model.")
    return models[0]


async def _measure(names: Sequence[str], matrix: Matrix, as_json: bool, *, with_ttft: bool = False) -> int:
    from edgetui.services.lab import Lab

    records: list[BenchRecord] = []
    interrupted = asyncio.Event()
    loop = asyncio.get_running_loop()
    lab = Lab()
    # From the start: Ctrl-C while a job is being started must not leave it running.
    loop.add_signal_handler(signal.SIGINT, interrupted.set)
    try:
        # All are looked at first: a wrong one must not show after an hour of measuring.
        entries = [await lab.find_model(name) for name in names]
        cells = matrix.cells()
        for entry in entries:
            lab.bench.check(entry, cells[0])
        if len(cells) > 1:
            job = await lab.bench.start_matrix(entries, matrix)
            await _follow(lab, job, interrupted, records)
        else:
            for entry in entries:
                if not interrupted.is_set():
                    await _follow(lab, await lab.bench.start(entry, cells[0]), interrupted, records)
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
    if with_ttft and not as_json:
        for record in records:
            if record.row.ttft_s is not None:
                print(f"TTFT {record.row.ttft_s * 1000:9.1f} ms  {record.row.name}")
    return 130 if interrupted.is_set() else 0


async def _follow(lab: Lab, job: JobRecord, interrupted: asyncio.Event, records: list[BenchRecord]) -> None:
    """Follow a job and add its rows; ends it early when the person pressed Ctrl-C."""
    from edgetui.cli.progress import NoteLines
    from edgetui.worker.job_events import JobFailed, JobProgress, JobSucceeded

    cancelling = asyncio.create_task(_cancel_when(interrupted, lab, job.job_id))
    failure: JobFailed | None = None
    lines = NoteLines()
    try:
        async for event in lab.jobs.watch(job.job_id):
            if isinstance(event, JobProgress):
                lines.show(f"{job.subject}: {event.note}", passing=event.passing)
            elif isinstance(event, JobFailed):
                failure = event
            elif isinstance(event, JobSucceeded) and "; failed: " in event.summary:
                print(f"edgetui: {event.summary}", file=sys.stderr)
    finally:
        lines.clear()
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
    _print(chosen, as_json, fresh=False)
    return 0


def _print(records: Sequence[BenchRecord], as_json: bool, *, fresh: bool = True) -> None:
    if as_json:
        import json

        print(json.dumps([_as_json(record) for record in records], indent=2))
        return
    if not records:
        print("Nothing has been measured yet: edgetui bench MODEL.", file=sys.stderr)
        return
    from edgetui.core.bench_table import table

    for line in bench_options.noise_lines(records) if fresh else ():
        print(f"edgetui: {line}", file=sys.stderr)
    rows = [tuple(cell.replace("|", "\\|") for cell in row) for row in table(records)]
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for number, row in enumerate(rows):
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |")
        if number == 0:
            print("| " + " | ".join("-" * width for width in widths) + " |")


def _as_json(record: BenchRecord) -> dict[str, object]:
    import msgspec

    from edgetui.core.bench_noise import noise_of

    row = record.row
    return {
        **msgspec.to_builtins(row),
        "id": record.record_id,
        "name": row.name,
        "avg_ts": row.mean_tps,
        "stddev_ts": row.sd_tps,
        "samples_ts": row.samples_tps,
        "median_ts": row.median_tps,
        "mad_ts": row.mad_tps,
        "interval_share": row.interval_share,
        "ttft_s": row.ttft_s,
        "outliers": row.outliers,
        "noise": noise_of(row),
        "joules_per_token": row.joules_per_token,
        "machine": msgspec.to_builtins(record.machine),
    }
