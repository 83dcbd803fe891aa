"""`edgetui models`: what is on this machine, and what one model's files say."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from edgetui.core.model_text import FORMAT_TITLES
from edgetui.core.units import MISSING, format_bytes, format_count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetui.core.models import ModelDetails, ModelEntry


def models(
    model: Annotated[str | None, typer.Argument(help="Show this one in full; a name or a path.")] = None,
    tensors: Annotated[bool, typer.Option("--tensors", help="With a model: every tensor too.")] = False,
    favourites: Annotated[bool, typer.Option("--favourites", help="Only favourites.")] = False,
    tag: Annotated[str, typer.Option("--tag", help="Only models with this tag.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the models of this machine, or show what one model's files say of it."""
    status = asyncio.run(_list(favourites, tag, as_json) if model is None else _show(model, tensors, as_json))
    raise typer.Exit(status)


async def _list(favourites: bool, tag: str, as_json: bool) -> int:
    from edgetui.services.lab import Lab

    lab = Lab()
    try:
        entries = await lab.catalog.scan()
        problems = lab.catalog.folder_problems
    finally:
        await lab.close()
    if favourites or tag:
        marked = [each for each in entries if each.marks.is_favourite or not favourites]
        entries = [each for each in marked if not tag or tag in each.marks.tags.split()]
    for problem in problems:
        print(f"edgetui: {_plain(problem)}", file=sys.stderr)
    if as_json:
        _print_json(entries)
    elif entries:
        _print_table(
            ("name", "type", "params", "size", "bpw", "context", "architecture", "source", "made of"),
            [_row(entry) for entry in entries],
        )
        for entry in entries:
            if entry.problem is not None:
                print(f"! {_plain(entry.name)}: {_plain(entry.problem)}")
    elif favourites or tag:
        print("No model is marked so: `edgetui note` marks one.", file=sys.stderr)
    else:
        print(f"No models yet: put a GGUF file or a model's folder into {lab.paths.models_dir}.", file=sys.stderr)
    return 1 if problems else 0


async def _show(name: str, tensors: bool, as_json: bool) -> int:
    from edgetui.services.lab import Lab

    lab = Lab()
    try:
        details = await lab.catalog.details(await lab.catalog.find(name))
    finally:
        await lab.close()
    if as_json:
        _print_json(details)
    else:
        _print_details(details, tensors)
    return 0


def _print_json(value: object) -> None:
    import json

    import msgspec

    print(json.dumps(msgspec.to_builtins(value, enc_hook=str), indent=2))


def _row(entry: ModelEntry) -> tuple[str, ...]:
    bits = entry.bits_per_weight
    return (
        f"! {entry.name}" if entry.problem else f"* {entry.name}" if entry.marks.is_favourite else entry.name,
        entry.quant_type or MISSING,
        format_count(entry.parameter_count),
        format_bytes(entry.size_bytes),
        f"{bits:.2f}" if bits else MISSING,
        str(entry.context_length or MISSING),
        entry.architecture or MISSING,
        entry.repo or entry.source,
        entry.parent or MISSING,
    )


def _print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns by spaces: readable in any width, easy to cut by a script."""
    lines = [tuple(_plain(cell) for cell in row) for row in (header, *rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _print_details(details: ModelDetails, tensors: bool) -> None:
    entry = details.entry
    print(f"{_plain(entry.name)}\n{_plain(str(entry.path))}")
    what = (format_bytes(entry.size_bytes), f"{format_count(entry.parameter_count)} parameters", entry.quant_type)
    print(", ".join(filter(None, (*what, FORMAT_TITLES[entry.format]))))
    if len(entry.parts) > 1:
        print(f"{len(entry.parts)} files: {_plain(', '.join(part.name for part in entry.parts[:12]))}")
    if entry.parent:
        recovered = f", recovered from {entry.recovered_from}" if entry.recovered_from else ""
        print(f"made of {_plain(entry.parent)}{recovered}")
    if entry.recipe:
        print(f"by {_plain(entry.recipe)}")
    print("\ntensors by type")
    for share in details.shares:
        print(f"  {share.type_name:<9} {share.tensor_count:>5} {format_bytes(share.size_bytes):>10}")
    if tensors:
        print("\ntensors")
        for tensor in details.tensors:
            shape = " x ".join(str(extent) for extent in tensor.shape)
            print(
                f"  {_plain(tensor.name):<40} {tensor.type_name:<8} {shape:<20} {format_bytes(tensor.size_bytes):>10}"
            )
    print("\nmetadata")
    for item in details.metadata:
        value = _plain(item.value)
        print(f"  {_plain(item.key)} = {value if len(value) <= 200 else f'{value[:200]}... ({len(value)} characters)'}")


def _plain(text: str) -> str:
    from edgetui.core.plain_text import plain_line

    return plain_line(text)
