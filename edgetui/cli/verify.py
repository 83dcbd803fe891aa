"""`edgetui verify`: whether a model's files are what the hub promised."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer


def verify(model: Annotated[str, typer.Argument(help="Name of a model here; see `edgetui models`.")]) -> None:
    """Hash a model's files; exits with 1 when one differs from what the hub promised."""
    raise typer.Exit(asyncio.run(_verify(model)))


async def _verify(name: str) -> int:
    from edgetui.core.plain_text import plain_line
    from edgetui.services.lab import Lab

    lab = Lab()
    try:
        found = await lab.library.verify(await lab.catalog.find(name))
    finally:
        await lab.close()
    words = {True: "as the hub promised", False: "NOT what the hub promised: delete it and download it again"}
    for each in found:
        told = "nobody told what it should be" if each.is_right is None else words[each.is_right]
        print(plain_line(f"{each.path.name}  sha256 {each.sha256}  {told}"))
    return 1 if any(each.is_right is False for each in found) else 0
