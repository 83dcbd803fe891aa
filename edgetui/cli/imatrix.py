"""`edgetui imatrix`: make an importance matrix of a model and a text, or list those that are here."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from edgetui.cli.follow import print_json, start_and_follow
from edgetui.core.failures import EdgetuiError
from edgetui.core.plain_text import plain_line

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from edgetui.core.jobs import JobRecord
    from edgetui.services.imatrices import KnownImatrix
    from edgetui.services.lab import Lab


def imatrix(
    model: Annotated[str | None, typer.Argument(help="Name or path of a GGUF model; see `edgetui models`.")] = None,
    text: Annotated[
        str, typer.Option(metavar="FILE", help="A UTF-8 text, or `topics`: Python's own documentation.")
    ] = "topics",
    chunks: Annotated[
        int, typer.Option(min=0, max=1_000_000, help="How many chunks of 512 tokens; 0 takes all of the text.")
    ] = 40,
    threads: Annotated[int, typer.Option("-t", "--threads", min=0, max=1024, help="0 takes one a physical core.")] = 0,
    listed: Annotated[bool, typer.Option("--list", help="List the matrices that are here.")] = False,
    detach: Annotated[
        bool, typer.Option("--detach", help="Print the job's id and return; see `edgetui jobs`.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure which weights matter, for `edgetui quantize --imatrix`; Ctrl-C cancels and leaves nothing."""
    from edgetui.services.lab import Lab

    if not listed and model is None:
        raise EdgetuiError("bad_request", "Name a model, or say --list.")
    lab = Lab()
    if model is None or listed:
        asyncio.run(_list(lab, as_json))
        return
    raise typer.Exit(asyncio.run(_make(lab, model, text, chunks, threads, detach, as_json)))


async def _make(lab: Lab, model: str, text: str, chunks: int, threads: int, detach: bool, as_json: bool) -> int:
    try:
        entry = await lab.catalog.find(model)
        request = lab.imatrices.request(entry, text, chunks, threads)

        def start() -> Awaitable[JobRecord]:
            return lab.imatrices.start(request, entry)

        return await start_and_follow(lab, start, detach=detach, as_json=as_json)
    finally:
        await lab.close()


async def _list(lab: Lab, as_json: bool) -> None:
    import msgspec

    try:
        known = await lab.imatrices.list()
    finally:
        await lab.close()
    if as_json:
        print_json([msgspec.to_builtins(matrix) for matrix in known])
    else:
        _print_table(known)


def _print_table(known: Sequence[KnownImatrix]) -> None:
    from edgetui.core.units import MISSING, format_bytes

    if not known:
        print("There are none: `edgetui imatrix MODEL` makes one.")
        return
    print(f"{'MODEL':<32}{'TEXT':<16}{'CHUNKS':>8}{'MATRICES':>10}{'SIZE':>10}  PATH")
    for matrix in known:
        model = plain_line(matrix.model_name or MISSING)[:31]
        text = plain_line(matrix.text_name or MISSING)[:15]
        counts = f"{matrix.chunk_count:>8}{matrix.entry_count:>10}{format_bytes(matrix.size_bytes):>10}"
        print(f"{model:<32}{text:<16}{counts}  {plain_line(matrix.problem or matrix.path)}")
