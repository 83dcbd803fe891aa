"""`edgetui delete`: models that are not needed any more, after a look at what goes."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from edgetui.core.failures import EdgetuiError

if TYPE_CHECKING:
    from edgetui.services.library import Removal


def delete(
    model: Annotated[str | None, typer.Argument(help="Name of a model here; see `edgetui models`.")] = None,
    superseded: Annotated[
        bool, typer.Option("--superseded", help="All revisions in the hub's cache that no branch stands for any more.")
    ] = False,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.")] = False,
) -> None:
    """Delete a model, or what newer revisions have superseded; says first what goes and how much becomes free."""
    if (model is None) == (not superseded):
        raise EdgetuiError("bad_request", "Name a model to delete, or ask for --superseded; not both.")
    raise typer.Exit(asyncio.run(_delete(model, yes)))


async def _delete(model: str | None, yes: bool) -> int:
    from edgetui.services.lab import Lab

    lab = Lab()
    try:
        removals = (
            await lab.library.unreferenced()
            if model is None
            else [await lab.library.removal(await lab.catalog.find(model))]
        )
        if not removals:
            print("edgetui: Nothing is superseded.", file=sys.stderr)
            return 0
        _ask(removals, yes)
        freed = 0
        for removal in removals:
            freed += await lab.library.remove(removal)
    finally:
        await lab.close()
    from edgetui.core.units import format_bytes

    print(f"edgetui: Deleted; {format_bytes(freed)} are free again.", file=sys.stderr)
    return 0


def _ask(removals: list[Removal], yes: bool) -> None:
    from edgetui.core.plain_text import plain_line
    from edgetui.core.units import format_bytes

    for removal in removals:
        print(plain_line(f"edgetui: {removal.what}: frees {format_bytes(removal.freed_bytes)}."), file=sys.stderr)
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise EdgetuiError("bad_request", "Nothing was deleted: say yes to that with --yes.")
    if not typer.confirm("Delete?", default=False, err=True):
        raise EdgetuiError("cancelled", "Nothing was deleted.")
