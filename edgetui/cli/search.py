"""`edgetui search`: models on the hub."""

from __future__ import annotations

import asyncio
import sys
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated

import typer

from edgetui.core.failures import EdgetuiError
from edgetui.core.hub import HUB_FORMATS, HUB_SORTS, HubQuery

if TYPE_CHECKING:
    from edgetui.core.hub import HubModel


def search(
    text: Annotated[str, typer.Argument(help="Part of the name; without it the hub's first ones.")] = "",
    model_format: Annotated[
        list[str] | None, typer.Option("--format", help=f"One of {', '.join(HUB_FORMATS)}; may be given again.")
    ] = None,
    author: Annotated[str, typer.Option("--author", help="Whose models.")] = "",
    task: Annotated[str, typer.Option("--task", help="The hub's name of it, such as text-generation.")] = "",
    language: Annotated[str, typer.Option("--language", help="Two letters, such as de.")] = "",
    licence: Annotated[str, typer.Option("--licence", help="The hub's name of it, such as apache-2.0.")] = "",
    gated: Annotated[bool | None, typer.Option("--gated/--ungated", help="Whether it asks for consent.")] = None,
    least: Annotated[float | None, typer.Option("--min-params", min=0, help="Least parameters, in billions.")] = None,
    most: Annotated[float | None, typer.Option("--max-params", min=0, help="Most parameters, in billions.")] = None,
    quant_type: Annotated[str, typer.Option("--type", help="With a GGUF of this type, such as Q4_K_M.")] = "",
    sort: Annotated[str, typer.Option("--sort", help=f"One of {', '.join(HUB_SORTS)}.")] = "trending",
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, max=10000, help="Most rows.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Find models on the hub; without a link, among those seen before."""
    formats = tuple(each for each in HUB_FORMATS if each in (model_format or ()))
    unknown = set(model_format or ()) - set(HUB_FORMATS)
    if unknown:
        raise EdgetuiError("bad_request", f"There is no format {min(unknown)!r}: take one of {', '.join(HUB_FORMATS)}.")
    order = next((each for each in HUB_SORTS if each == sort), None)
    if order is None:
        raise EdgetuiError("bad_request", f"There is no order {sort!r}: take one of {', '.join(HUB_SORTS)}.")
    from math import isfinite

    from edgetui.core.quant_types import quant_type_in_name

    if quant_type and quant_type_in_name(f"x-{quant_type}") != quant_type.upper():
        raise EdgetuiError("bad_request", f"There is no type {quant_type!r}: take one such as Q4_K_M or Q8_0.")
    if not all(isfinite(limit) for limit in (least or 0, most or 0)) or (most is not None and (least or 0) > most):
        raise EdgetuiError("bad_request", "No model has so many parameters: --min-params is to be below --max-params.")
    query = HubQuery(
        text=text,
        author=author,
        formats=formats,
        task=task,
        language=language,
        licence=licence,
        gated=gated,
        least_billions=least,
        most_billions=most,
        quant_type=quant_type,
        sort=order,
    )
    raise typer.Exit(asyncio.run(_search(query, limit, as_json)))


async def _search(query: HubQuery, limit: int, as_json: bool) -> int:
    from edgetui.core.hub_text import offline_line
    from edgetui.services.lab import Lab

    lab = Lab()
    rows: list[HubModel] = []
    try:
        async with aclosing(lab.hub.search(query)) as pages:
            async for told in pages:
                rows += told.value
                if told.problem:
                    print(f"edgetui: {offline_line(told.problem, told.fetched_at)}", file=sys.stderr)
                if len(rows) >= limit:
                    break
    finally:
        await lab.close()
    _print(rows[:limit], as_json)
    return 0 if rows else 1


def _print(rows: list[HubModel], as_json: bool) -> None:
    if as_json:
        import msgspec

        print(msgspec.json.format(msgspec.json.encode(rows), indent=2).decode())
        return
    if not rows:
        print("edgetui: The hub has no such model: try fewer words or filters.", file=sys.stderr)
        return
    from edgetui.core.hub_text import model_marks, short_count, short_date

    width = max(len(row.repo) for row in rows)
    print(f"{'MODEL':<{width}}  {'PARAMS':>8}  {'DOWNLOADS':>9}  {'LIKES':>7}  {'CHANGED':<10}  MARKS")
    for row in rows:
        print(
            f"{row.repo:<{width}}  {short_count(row.parameter_count):>8}  {short_count(row.downloads):>9}"
            f"  {short_count(row.likes):>7}  {short_date(row.last_modified):<10}  {model_marks(row)}"
        )
