"""`edgetui recipe`: search the tensor types that lose least at a size, and hold the result against the stock type."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from edgetui.cli.follow import print_json, start_and_follow
from edgetui.core.failures import EdgetuiError
from edgetui.core.plain_text import plain_line
from edgetui.core.recipe_search import CANDIDATES, RecipeSettings, speed_sentence, verdict_sentence
from edgetui.core.units import format_bytes

if TYPE_CHECKING:
    from edgetui.core.jobs import JobRecord
    from edgetui.core.models import ModelEntry
    from edgetui.core.recipe_search import RecipeResult
    from edgetui.services.lab import Lab


def recipe(
    model: Annotated[str, typer.Argument(help="Name or path of an unquantized GGUF model; see `edgetui models`.")],
    size: Annotated[
        str | None, typer.Option("--size", help="Most that the file may have, such as 90MiB, or a type's size: Q4_K_M.")
    ] = None,
    tps: Annotated[
        float | None, typer.Option("--tps", min=0.01, help="Decode rate to reach here, instead of a size.")
    ] = None,
    imatrix: Annotated[Path | None, typer.Option("--imatrix", help="Importance matrix of the model.")] = None,
    text: Annotated[str, typer.Option("--text", help="topics, wikitext-2 or a UTF-8 text file.")] = "topics",
    context: Annotated[int, typer.Option("--context", min=32, max=8192, help="Tokens a chunk.")] = 512,
    chunks: Annotated[int, typer.Option("--chunks", min=4, max=100_000, help="Chunks that the verdict is over.")] = 24,
    choosing_chunks: Annotated[
        int,
        typer.Option(
            "--choosing-chunks", min=0, max=10_000, help="Chunks before those for sensitivities; 0 measures none."
        ),
    ] = 4,
    types: Annotated[
        str | None, typer.Option("--types", help="Tensor types to choose from, with commas: Q8_0,Q5_0,Q4_0.")
    ] = None,
    bench: Annotated[bool, typer.Option("--bench/--no-bench", help="Measure both decode rates at the end.")] = True,
    threads: Annotated[int, typer.Option("-t", "--threads", min=0, max=1024, help="0 takes one a physical core.")] = 0,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="File or folder; else a new name in the models folder.")
    ] = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="Print the job's id and return; see `edgetui jobs`.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Find the best type for each tensor at a size, measured; Ctrl-C cancels and leaves nothing."""
    if (size is None) == (tps is None):
        raise EdgetuiError("bad_request", "Name either a size (--size 90MiB) or a decode rate (--tps 120).")
    from edgetui.services.lab import Lab

    lab = Lab()

    async def work() -> int:
        try:
            entry = await lab.catalog.find(model)
            target_bytes = await _target_bytes(lab, entry, size, tps)
            settings = _settings(
                target_bytes=target_bytes,
                text=text,
                context_tokens=context,
                chunks=chunks,
                choosing_chunks=choosing_chunks,
                types=CANDIDATES if types is None else tuple(types.upper().replace(",", " ").split()),
                threads=threads,
                bench=bench,
            )
            found: list[JobRecord] = []
            status = await start_and_follow(
                lab,
                lambda: lab.recipes.start(entry, settings, target=output, imatrix=imatrix, wanted_tps=tps),
                detach=detach,
                as_json=as_json,
                show=found.append,
            )
            for record in found:
                _show(record, await lab.recipes.result(record.job_id), as_json)
            return status
        finally:
            await lab.close()

    raise typer.Exit(asyncio.run(work()))


def _settings(**fields: Any) -> RecipeSettings:
    try:
        return RecipeSettings(**fields)
    except ValueError as error:
        raise EdgetuiError("bad_request", f"The search cannot be made: {error}.") from error


async def _target_bytes(lab: Lab, entry: ModelEntry, size: str | None, tps: float | None) -> int:
    """What was asked for, in bytes."""
    if size is not None:
        return await lab.recipes.size_of(entry, size)
    assert tps is not None
    found = await lab.recipes.size_for(entry, tps)
    print(f"edgetui: {tps:g} tok/s allows {format_bytes(found.size_bytes)} by {found.because}.", file=sys.stderr)
    return found.size_bytes


def _show(record: JobRecord, result: RecipeResult, as_json: bool) -> None:
    if as_json:
        figures = msgspec.to_builtins(result)
        for side in ("recipe", "stock"):
            figures[side]["kl"] = getattr(result, side).kl
        print_json({"job": record.job_id, "output": record.output, "verdict_word": result.verdict.word} | figures)
        return
    print(record.output)
    print(f"\n{'':<10}{'SIZE':>10}{'KL DIV':>10}{'TOP-1':>8}{'PPL':>9}{'DECODE':>14}")
    for label, of in (("recipe", result.recipe), (result.stock_type, result.stock)):
        rate = "-" if of.decode_tps is None else f"{of.decode_tps:.1f} tok/s"
        print(
            f"{label:<10}{format_bytes(of.size_bytes):>10}{of.kl:>10.4f}{of.same_top1:>8.1%}"
            f"{of.perplexity:>9.3f}{rate:>14}"
        )
    print(f"\n{'TYPE':<10}{'TENSORS':>8}{'BYTES':>11}")
    for name, count, size_bytes in result.types:
        print(f"{name:<10}{count:>8}{format_bytes(size_bytes):>11}")
    print()
    for sentence in filter(None, (verdict_sentence(result), speed_sentence(result))):
        print(plain_line(sentence))
