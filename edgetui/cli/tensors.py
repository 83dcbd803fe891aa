"""`edgetui tensors`: every tensor of a model, and what quantizing did to it."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from edgetui.cli.follow import follow, print_json
from edgetui.core.failures import EdgetuiError
from edgetui.core.plain_text import plain_line
from edgetui.core.tensor_errors import COLUMNS, TensorColumn, format_error, format_relative, format_shape
from edgetui.core.units import format_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetui.core.models import ModelEntry
    from edgetui.core.tensor_errors import TensorError, TensorRow
    from edgetui.services.lab import Lab

_SORTS = {"error": "relative"}
"""Further names of columns."""


def tensors(
    model: Annotated[str, typer.Argument(help="Name or path of a GGUF model; see `edgetui models`.")],
    parent: Annotated[
        str | None, typer.Option("--parent", help="Unquantized model to compare with; else the one it was made of.")
    ] = None,
    sort: Annotated[str, typer.Option("--sort", help=f"error, {', '.join(COLUMNS)}.")] = "order",
    words: Annotated[str, typer.Option("--filter", help="Only tensors with these words in name, type or shape.")] = "",
    measure: Annotated[
        bool, typer.Option("--measure/--no-measure", help="Measure errors that are not known yet.")
    ] = True,
    try_tensor: Annotated[
        str | None, typer.Option("--try", help="Measure the error that this tensor would have in each type.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List tensors with their quantization errors."""
    column = _SORTS.get(sort, sort)
    if column not in COLUMNS:
        known = ", ".join(("error", *COLUMNS))
        raise EdgetuiError("bad_request", f"There is no column {plain_line(sort)} to sort by; there are {known}.")
    from edgetui.services.lab import Lab

    lab = Lab()
    if try_tensor is not None:
        raise typer.Exit(asyncio.run(_try(lab, model, parent, try_tensor, as_json)))
    shown = asyncio.run(_read(lab, model, parent, column, words.lower().split(), measure))
    if as_json:
        print_json([_figures(row) for row in shown])
    else:
        _print(shown)


async def _read(
    lab: Lab, model: str, parent: str | None, column: TensorColumn, words: Sequence[str], measure: bool
) -> list[TensorRow]:
    from edgetui.core.tensor_errors import matches, sorted_rows, summary, tensor_rows

    try:
        entry = await lab.catalog.find(model)
        items = await lab.tensors.items(entry)
        errors = await _errors(lab, entry, parent, measure)
    finally:
        await lab.close()
    rows = tensor_rows(items, errors)
    shown = [row for row in sorted_rows(rows, column) if matches(row, words)]
    print(f"edgetui: {summary(rows, len(shown), column)}", file=sys.stderr)
    return shown


async def _errors(lab: Lab, entry: ModelEntry, name: str | None, measure: bool) -> Sequence[TensorError]:
    """Known errors, measured now where some are missing; none for a model without a parent unless one was named."""
    if name is None and await lab.tensors.parent_of(entry) is None:
        why = f"its parent {entry.parent} is not here" if entry.parent else "its parent is not known"
        print(f"edgetui: No errors: {plain_line(why)}; name one with --parent.", file=sys.stderr)
        return ()
    parent = await lab.tensors.require_parent(entry, name)
    known = await lab.tensors.errors(entry, parent)
    if measure and len(known) < len(await lab.tensors.items(entry)):
        record = await follow(lab, (await lab.tensors.start(entry, parent)).job_id)
        if record.state != "succeeded":
            raise EdgetuiError("cancelled", "It was cancelled; what was measured so far is kept.")
        known = await lab.tensors.errors(entry, parent)
    return known


async def _try(lab: Lab, model: str, name: str | None, tensor: str, as_json: bool) -> int:
    from edgetui.services.tensors import what_to_try

    try:
        entry = await lab.catalog.find(model)
        parent = await lab.catalog.find(name) if name else await lab.tensors.parent_of(entry)
        source = what_to_try(entry, parent)
        found: list[TensorError] = []
        async for so_far in lab.tensors.try_types(source, tensor):
            found = so_far
    finally:
        await lab.close()
    if as_json:
        print_json([_error_figures(error) | {"type": error.type_name} for error in found])
        return 0
    print(
        f"edgetui: {plain_line(tensor)} of {plain_line(source.name)}, on {found[0].share_read:.0%} of its weights"
        if found
        else f"edgetui: {plain_line(tensor)} takes no other type",
        file=sys.stderr,
    )
    print(f"{'TYPE':<9}{'RELATIVE':>10}{'RMSE':>11}{'MAX':>11}")
    for error in found:
        broken = error.not_finite
        print(
            f"{error.type_name:<9}{format_relative(error):>10}{format_error(error.rmse, broken):>11}"
            f"{format_error(error.max_abs, broken):>11}"
        )
    return 0


def _print(rows: Sequence[TensorRow]) -> None:
    width = max((len(row.item.name) for row in rows), default=4)
    print(
        f"{'TENSOR':<{width}}  {'SHAPE':<14}{'TYPE':<8}{'SIZE':>10}{'SHARE':>8}{'RELATIVE':>10}{'RMSE':>11}{'MAX':>11}"
    )
    for row in rows:
        item, error = row.item, row.error
        broken = error.not_finite if error else 0
        print(
            f"{plain_line(item.name):<{width}}  {format_shape(item.shape):<14}{item.type_name:<8}"
            f"{format_bytes(item.size_bytes):>10}{row.share:>8.2%}{format_relative(error):>10}"
            f"{format_error(error.rmse if error else None, broken):>11}"
            f"{format_error(error.max_abs if error else None, broken):>11}"
        )


def _figures(row: TensorRow) -> dict[str, object]:
    return {
        "tensor": row.item.name,
        "shape": list(row.item.shape),
        "type": row.item.type_name,
        "size_bytes": row.item.size_bytes,
        "share": row.share,
    } | (_error_figures(row.error) if row.error else {})


def _error_figures(error: TensorError) -> dict[str, object]:
    return {
        "relative_rmse": error.relative,
        "rmse": error.rmse,
        "max_abs": error.max_abs,
        "not_finite": error.not_finite,
        "share_read": error.share_read,
        "problem": error.problem or None,
    }
