"""`edgetui note`: what a person wants to remember of a model."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer


def note(
    model: Annotated[str, typer.Argument(help="Name of a model here; see `edgetui models`.")],
    text: Annotated[str | None, typer.Argument(help="The note; an empty one takes it away.")] = None,
    tags: Annotated[str | None, typer.Option("--tags", help="Words between blanks; empty takes them away.")] = None,
    favourite: Annotated[
        bool | None, typer.Option("--favourite/--no-favourite", help="Whether it is one of the favourites.")
    ] = None,
) -> None:
    """Write a note, tags or a favourite's mark on a model, or show what is written. It stays with the content."""
    asyncio.run(_note(model, text, tags, favourite))


async def _note(name: str, text: str | None, tags: str | None, favourite: bool | None) -> None:
    import msgspec

    from edgetui.core.failures import EdgetuiError
    from edgetui.core.models import ModelMarks
    from edgetui.core.plain_text import plain_line
    from edgetui.services.lab import Lab

    lab = Lab()
    try:
        # A row of the whole list: one that is named by its path knows nothing of what was written.
        found = await lab.catalog.find(name)
        rows = await lab.catalog.scan()
        alike = [row for row in rows if row.fingerprint and row.fingerprint == found.fingerprint] or [found]
        entry = next((row for row in alike if row.path == found.path), alike[0])
        told = {"note": text, "tags": None if tags is None else " ".join(tags.split()), "is_favourite": favourite}
        changes = {key: value for key, value in told.items() if value is not None}
        marks = msgspec.structs.replace(entry.marks, **changes)
        if changes:
            try:
                msgspec.convert(msgspec.to_builtins(marks), ModelMarks)
            except msgspec.ValidationError as error:
                raise EdgetuiError(
                    "bad_request", "That is too long: a note has at most 2,000 characters, tags 200."
                ) from error
            await lab.catalog.mark(entry, marks)
    finally:
        await lab.close()
    print(plain_line(f"{'* ' if marks.is_favourite else ''}{entry.name}"))
    for label, value in (("tags", marks.tags), ("note", marks.note)):
        if value:
            print(plain_line(f"{label}: {value}"))
