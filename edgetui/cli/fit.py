"""`edgetui fit`: what a model would take of this machine's memory and how fast it would run, before it is loaded."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from edgetui.cli.overrides import override

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgetui.core.fit import MemoryFit, SpeedForecast
    from edgetui.core.hardware import Reading
    from edgetui.core.models import ModelEntry
    from edgetui.services.speed import MeasuredRows


def fit(
    model: Annotated[str, typer.Argument(help="Name, or path to a .gguf file.")],
    context: Annotated[int | None, typer.Option("-c", "--context", help="Context in tokens.")] = None,
    batch: Annotated[int | None, typer.Option("-b", "--batch", help="Prompt tokens a decode call.")] = None,
    kv: Annotated[str | None, typer.Option("--kv", help="KV-cache type, such as f16 or q8_0.")] = None,
    threads: Annotated[int | None, typer.Option("-t", "--threads", help="0: one a physical core.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Predict a model's memory and speed, part by part; exits with 0 when it fits, 1 when it does not.

    Speed is predicted after `edgetui calibrate`: decode at the end of the given context, else of llama-bench's tg128.
    """
    chosen = {"context_tokens": context, "batch_tokens": batch, "kv_cache_type": kv, "threads": threads}
    entry, found, speed, measured = asyncio.run(_ask(model, chosen))
    if as_json:
        import json

        figures = {"model": entry.name, "total_bytes": found.parts.total, **msgspec.to_builtins(found)}
        figures["speed"] = msgspec.to_builtins(speed.value)
        figures["speed_missing"] = speed.reason or None
        figures["speed_measured_tps"] = {row.name: row.mean_tps for row in measured if row}
        print(json.dumps(figures, indent=2))
    else:
        from edgetui.core.fit_text import fit_facts
        from edgetui.core.plain_text import plain_line
        from edgetui.core.speed_text import speed_facts

        print(plain_line(entry.name))
        for label, text in [*fit_facts(found), *speed_facts(speed, measured)]:
            print(f"{label:<10}{plain_line(text)}".rstrip())
    raise typer.Exit(0 if found.verdict in ("fits", "tight") else 1)


async def _ask(
    model: str, chosen: Mapping[str, object]
) -> tuple[ModelEntry, MemoryFit, Reading[SpeedForecast], MeasuredRows]:
    from edgetui.services.lab import Lab
    from edgetui.services.speed import depth_measured

    lab = Lab()
    try:
        entry = await lab.catalog.find(model)
        settings = override(lab.settings.load, chosen)
        memory = await lab.fit.memory(entry, settings)
        depth = memory.context_tokens if chosen["context_tokens"] else None
        speed = await lab.speed.forecast_of(entry, settings, depth)
        deep = 0 if depth is None else depth_measured(depth)
        return entry, memory, speed, await lab.speed.measured(entry, settings, deep)
    finally:
        await lab.close()
