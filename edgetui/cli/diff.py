"""`edgetui diff`: two models side by side."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer


def diff(
    left: Annotated[str, typer.Argument(help="A model here; a name or a path.")],
    right: Annotated[str, typer.Argument(help="Another.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare two models: sizes by part, and the metadata and tensors that differ."""
    asyncio.run(_diff(left, right, as_json))


async def _diff(left: str, right: str, as_json: bool) -> None:
    from edgetui.core.model_diff import compare
    from edgetui.core.plain_text import plain_line
    from edgetui.services.lab import Lab

    lab = Lab()
    try:
        sides = [await lab.catalog.details(await lab.catalog.find(name)) for name in (left, right)]
    finally:
        await lab.close()
    rows = compare(*sides)
    if as_json:
        import json

        print(json.dumps([row._asdict() for row in rows], indent=2))
        return
    section = ""
    label_width = min(44, max(len(row.label) for row in rows))
    left_width = min(60, max(len(text) for text in (sides[0].entry.name, *(row.left for row in rows))))
    print(plain_line(f"{'':<{label_width}}  {sides[0].entry.name:<{left_width}}  {sides[1].entry.name}"))
    for row in rows:
        if row.section != section:
            section = row.section
            print(f"\n{section}")
        mark = " " if not row.differs else "*"
        print(plain_line(f"{row.label:<{label_width}}{mark} {row.left:<{left_width}}  {row.right}").rstrip())
