"""`edgetui add`: a model from anywhere into the models folder."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from edgetui.core.failures import EdgetuiError

if TYPE_CHECKING:
    from edgetui.services.importing import ImportMode


def add(
    path: Annotated[str, typer.Argument(help="A GGUF or ONNX file, the first of a split one, or a folder.")],
    copy: Annotated[bool, typer.Option("--copy", help="Copy it, even where a link would do.")] = False,
    move: Annotated[bool, typer.Option("--move", help="Move it here.")] = False,
) -> None:
    """Check a model and take it into the models folder: linked on the same disk, else copied."""
    if copy and move:
        raise EdgetuiError("bad_request", "Ask for --copy or --move, not both.")
    asyncio.run(_add(path, "copy" if copy else "move" if move else None))


async def _add(path: str, mode: ImportMode | None) -> None:
    from edgetui.core.plain_text import plain_line
    from edgetui.core.units import format_bytes
    from edgetui.services.lab import Lab

    def show(count: int) -> None:
        if sys.stderr.isatty():
            print(f"\redgetui: {format_bytes(count)}  ", end="", file=sys.stderr)

    lab = Lab()
    try:
        plan = await lab.importer.plan(path, mode)
        print(plain_line(f"edgetui: {plan.in_words}."), file=sys.stderr)
        if plan.same_as:
            print(plain_line(f"edgetui: {plan.same_as} has the same content already."), file=sys.stderr)
        entry = await lab.importer.run(plan, show)
    finally:
        await lab.close()
    if sys.stderr.isatty():
        print("\r", end="", file=sys.stderr)
    print(plain_line(entry.name))
