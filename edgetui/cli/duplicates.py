"""`edgetui duplicates`: the same content more than once."""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated

import typer

from edgetui.core.units import counted


def duplicates(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Find models of the same content in several places, by their hashes, and what that costs."""
    asyncio.run(_duplicates(as_json))


async def _duplicates(as_json: bool) -> None:
    from edgetui.core.plain_text import plain_line
    from edgetui.core.units import format_bytes
    from edgetui.services.lab import Lab

    lab = Lab()
    try:
        found = await lab.library.duplicates(await lab.catalog.scan())
    finally:
        await lab.close()
    if as_json:
        import json

        told = [
            {"wasted_bytes": each.wasted_bytes, "paths": [str(entry.path) for entry in each.entries]} for each in found
        ]
        print(json.dumps(told, indent=2))
        return
    for each in found:
        cost = f"{format_bytes(each.wasted_bytes)} more than one" if each.wasted_bytes else "links, which cost nothing"
        print(plain_line(f"{each.entries[0].name}: {counted(len(each.entries), 'time')}, {cost}"))
        for entry in each.entries:
            print(plain_line(f"  {entry.path} ({entry.source})"))
    if not found:
        print("edgetui: No content is here twice.", file=sys.stderr)
