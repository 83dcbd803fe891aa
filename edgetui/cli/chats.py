"""`edgetui chats`: the conversations that Run keeps."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgetui.core.failures import EdgetuiError
from edgetui.core.plain_text import plain_line, plain_text
from edgetui.core.units import counted

if TYPE_CHECKING:
    from edgetui.core.conversations import ConversationRow
    from edgetui.services.lab import Lab


def chats(
    words: Annotated[list[str] | None, typer.Argument(help="Only those in which all these words were said.")] = None,
    model: Annotated[str | None, typer.Option(help="Only those that this model answered last.")] = None,
    show: Annotated[str | None, typer.Option(metavar="ID", help="Print one as Markdown, or as JSON.")] = None,
    delete: Annotated[str | None, typer.Option(metavar="ID", help="Forget one for good.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="With --show: write to this new file, as JSON where it ends in .json.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most to list.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List, search, show, export and delete what was said to models."""
    from edgetui.services.lab import Lab

    if show is not None and delete is not None:
        raise EdgetuiError("bad_request", "Take either --show or --delete.")
    if out is not None and show is None:
        raise EdgetuiError("bad_request", "--out writes one conversation: name it with --show.")
    asyncio.run(_run(Lab(), " ".join(words or ()), model, show, delete, out, limit, as_json))


async def _run(
    lab: Lab,
    search: str,
    model: str | None,
    show: str | None,
    delete: str | None,
    out: Path | None,
    limit: int,
    as_json: bool,
) -> None:
    from edgetui.services.profiles import model_key

    kept = lab.conversations
    try:
        if delete is not None:
            await kept.delete(delete)
            print(plain_line(f"Deleted: {delete}"))
        elif show is not None and out is not None:
            print(plain_line(f"Written: {await kept.export_to(show, out)}"))
        elif show is not None:
            text = await kept.export(show, "json" if as_json else "markdown")
            sys.stdout.write(plain_text(text) if sys.stdout.isatty() else text)
        else:
            key = model_key(await lab.find_model(model)) if model is not None else ""
            _print_rows(await kept.find(search, key, limit), as_json)
    finally:
        await lab.close()


def _print_rows(rows: list[ConversationRow], as_json: bool) -> None:
    if as_json:
        import msgspec

        print(msgspec.json.format(msgspec.json.encode(rows), indent=2).decode())
        return
    if not rows:
        print("No conversation is kept that matches; what is said in Run is.")
    for row in rows:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(row.changed_at))
        print(
            plain_line(
                f"{row.id}  {when}  {row.model_name}  {counted(row.turn_count, 'turn')}  {row.found or row.title}"
            )[:200]
        )
