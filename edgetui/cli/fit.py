"""`edgetui fit`: what a model would take of this machine's memory, before it is loaded."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from edgetui.cli.overrides import override

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgetui.core.fit import MemoryFit
    from edgetui.core.models import ModelEntry


def fit(
    model: Annotated[str, typer.Argument(help="Name, or path to a .gguf file.")],
    context: Annotated[int | None, typer.Option("-c", "--context", help="Context in tokens.")] = None,
    batch: Annotated[int | None, typer.Option("-b", "--batch", help="Prompt tokens a decode call.")] = None,
    kv: Annotated[str | None, typer.Option("--kv", help="KV-cache type, such as f16 or q8_0.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Predict the memory of a model, part by part; exits with 0 when it fits, 1 when it does not."""
    chosen = {"context_tokens": context, "batch_tokens": batch, "kv_cache_type": kv}
    entry, found = asyncio.run(_ask(model, chosen))
    if as_json:
        import json

        figures = {"model": entry.name, "total_bytes": found.parts.total, **msgspec.to_builtins(found)}
        print(json.dumps(figures, indent=2))
    else:
        from edgetui.core.fit_text import fit_facts
        from edgetui.core.plain_text import plain_line

        print(plain_line(entry.name))
        for label, text in fit_facts(found):
            print(f"{label:<10}{text}".rstrip())
    raise typer.Exit(0 if found.verdict in ("fits", "tight") else 1)


async def _ask(model: str, chosen: Mapping[str, object]) -> tuple[ModelEntry, MemoryFit]:
    from edgetui.services.lab import Lab

    lab = Lab()
    try:
        entry = await lab.catalog.find(model)
        return entry, await lab.fit.memory(entry, override(lab.settings.load, chosen))
    finally:
        await lab.close()
