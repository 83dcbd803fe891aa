"""`edgetui show`: what the hub tells of a model, and how its variants would fit here."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from edgetui.core.fit import MemoryFit, SpeedForecast
    from edgetui.core.hub import HubPage, HubVariant
    from edgetui.services.lab import Lab


def show(
    repo: Annotated[str, typer.Argument(help="AUTHOR/NAME on the hub.")],
    revision: Annotated[str, typer.Option("--revision", help="Branch, tag or commit.")] = "main",
    inside: Annotated[
        bool, typer.Option("--inside", help="Read the headers of GGUF variants: memory and speed on this machine.")
    ] = False,
    card: Annotated[bool, typer.Option("--card", help="Print its card too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show a model's variants before anything is downloaded."""
    raise typer.Exit(asyncio.run(_show(repo, revision, inside, card, as_json)))


async def _show(repo: str, revision: str, inside: bool, card: bool, as_json: bool) -> int:
    from edgetui.core.hub_text import offline_line
    from edgetui.services.lab import Lab

    lab = Lab()
    try:
        told = await lab.hub.page(repo, revision)
        if told.problem:
            print(f"edgetui: {offline_line(told.problem, told.fetched_at)}", file=sys.stderr)
        figures = [await _figures(lab, told.value, variant) if inside else {} for variant in told.value.variants]
    finally:
        await lab.close()
    if as_json:
        _print_json(told.value, figures)
    else:
        _print(told.value, figures)
        if card and told.value.card:
            print(f"\n{told.value.card}")
    return 0


async def _figures(lab: Lab, page: HubPage, variant: HubVariant) -> dict[str, Any]:
    """What the header tells of a variant here, or why it does not."""
    from edgetui.core.failures import EdgetuiError

    try:
        inside = await lab.hub.inside(page, variant)
    except EdgetuiError as error:
        return {"problem": str(error)}
    if inside.entry is None or inside.entry.format != "gguf":
        return {"inside": inside.summary}
    try:
        memory: MemoryFit = await lab.fit.memory(inside.entry, lab.settings.load)
        speed = await lab.speed.forecast_of(inside.entry, lab.settings.load)
    except EdgetuiError as error:
        return {"inside": inside.summary, "problem": str(error)}
    return {"inside": inside.summary, "memory": memory, "speed": speed.value, "problem": speed.reason}


def _print(page: HubPage, figures: list[dict[str, Any]]) -> None:
    from edgetui.core.hub_text import model_marks, short_count, short_date, variant_size

    model = page.model
    marks = model_marks(model)
    print(f"{model.repo}  {marks}")
    print(
        f"commit {page.commit[:12]} of {page.revision}, changed {short_date(model.last_modified)},"
        f" {short_count(model.parameter_count)} parameters, {short_count(model.downloads)} downloads"
    )
    if not page.variants:
        print("No files that edgetui knows as a model (GGUF, ONNX, safetensors, MLX).")
        return
    from edgetui.core.plain_text import plain_line

    width = max(len(variant.name) for variant in page.variants)
    print(f"\n{'VARIANT':<{width}}  {'FORMAT':<11}  {'SIZE':<18}  HERE")
    for variant, of_it in zip(page.variants, figures, strict=True):
        words = f"{len(variant.missing)} parts are missing" if variant.missing else _words(of_it)
        line = f"{variant.name:<{width}}  {variant.format:<11}  {variant_size(variant):<18}  {words}"
        print(plain_line(line).rstrip())
        if of_it.get("inside"):
            print(plain_line(f"{'':<{width}}  {of_it['inside']}"))


def _words(figures: dict[str, Any]) -> str:
    from edgetui.core.units import format_bytes

    memory: MemoryFit | None = figures.get("memory")
    speed: SpeedForecast | None = figures.get("speed")
    if memory is None:
        return str(figures.get("problem", ""))
    parts = [f"{memory.verdict}: {format_bytes(memory.parts.total)}"]
    if speed is not None:
        parts.append(f"~{speed.decode_low_tps:.0f} to {speed.decode_high_tps:.0f} tok/s")
    elif figures.get("problem"):
        parts.append(str(figures["problem"]))
    return ", ".join(parts)


def _print_json(page: HubPage, figures: list[dict[str, Any]]) -> None:
    import msgspec

    whole = msgspec.to_builtins(page)
    for variant, told, of_it in zip(whole["variants"], page.variants, figures, strict=True):
        variant |= {"size_bytes": told.size_bytes, **({"here": msgspec.to_builtins(of_it)} if of_it else {})}
    print(msgspec.json.format(msgspec.json.encode(whole), indent=2).decode())
