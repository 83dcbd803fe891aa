"""`edgetui olive`: workflows of Microsoft Olive as JSON: shown, saved, checked by Olive itself, run, looked back on."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from edgetui.cli.follow import print_json, start_and_follow
from edgetui.core.failures import EdgetuiError
from edgetui.core.plain_text import plain_line

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from edgetui.core.jobs import JobRecord
    from edgetui.core.workflows.olive import OliveWorkflow
    from edgetui.services.lab import Lab

T = TypeVar("T")

olive = typer.Typer(
    help="Show, save, check and run workflows of Microsoft Olive, and look at what a run left on record.",
    rich_markup_mode=None,
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Model = Annotated[str, typer.Argument(help="Name or path of a model; see `edgetui models`.")]
Template = Annotated[str, typer.Argument(metavar="TEMPLATE", help="Such as olive-int4; see `edgetui olive list`.")]
Values = Annotated[list[str] | None, typer.Argument(metavar="NAME=VALUE", help="Settings of the template.")]
File = Annotated[str, typer.Argument(metavar="FILE", help="A JSON file, or the name of a saved workflow.")]


@olive.callback(invoke_without_command=True)
def overview(context: typer.Context) -> None:
    """List templates and saved workflows when nothing else is asked."""
    if context.invoked_subcommand is None:
        list_workflows()


@olive.command("list")
def list_workflows(as_json: AsJson = False) -> None:
    """List templates, saved workflows, and what the cache takes."""
    from edgetui.core.units import format_bytes
    from edgetui.core.workflows import workflow_name

    async def look(lab: Lab) -> None:
        saved, size = await lab.olive.saved(), await lab.olive.cache_bytes()
        if as_json:
            print_json(
                {
                    "templates": [workflow_name(each) for each in lab.olive.templates()],
                    "saved": {each.name: str(each.path) for each in saved},
                    "cache_bytes": size,
                }
            )
            return
        for template in lab.olive.templates():
            print(f"{workflow_name(template):<22}{', '.join(template.TAKES)} -> {template.MAKES}: {template.PURPOSE}")
        for each in saved:
            print(f"{plain_line(each.name):<22}saved: {plain_line(str(each.path))}")
        print(f"Olive's cache takes {format_bytes(size)}; `edgetui olive cache --clear` removes it.")

    _with_lab(look)


@olive.command()
def show(template: Template, model: Model, values: Values = None) -> None:
    """Print the JSON that a template becomes for a model."""

    async def look(lab: Lab) -> None:
        entry = await lab.catalog.find(model)
        print(lab.olive.text_of(_settings(template, values), entry))

    _with_lab(look)


@olive.command()
def save(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Under which it is found again.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="JSON to save; - reads standard input.")],
    replace: Annotated[bool, typer.Option("--replace", help="In place of one of that name.")] = False,
) -> None:
    """Save a workflow under a name, after Olive itself has checked it."""

    async def keep(lab: Lab) -> None:
        text = sys.stdin.read() if str(file) == "-" else await lab.olive.read(str(file))
        await lab.olive.check(text, "standard input" if str(file) == "-" else file.name)
        print((await lab.olive.save(name, text, replace=replace)).path)

    _with_lab(keep)


@olive.command()
def check(file: File) -> None:
    """Ask Olive what it thinks of a workflow, without running it."""

    async def ask(lab: Lab) -> None:
        await lab.olive.check(await lab.olive.read(file), plain_line(Path(file).name))
        print("Olive accepts it.")

    _with_lab(ask)


@olive.command()
def run(
    file: File,
    model: Model,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Folder to make; else a new name.")] = None,
    allow_hub: Annotated[bool, typer.Option("--allow-hub", help="Let its passes fetch from the network.")] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Print the job's id and return.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run a workflow on a model; Ctrl-C cancels and leaves nothing."""

    async def make(lab: Lab) -> int:
        entry = await lab.catalog.find(model)

        def start() -> Awaitable[JobRecord]:
            return lab.olive.run(entry, file, allow_hub=allow_hub, target=output)

        return await start_and_follow(lab, start, detach=detach, as_json=as_json)

    raise typer.Exit(_with_lab(make))


@olive.command()
def footprint(
    of: Annotated[str, typer.Argument(metavar="JOB|FOLDER", help="A job of Olive, or the model that it made.")],
    as_json: AsJson = False,
) -> None:
    """Show each pass of a run: its time, the size of what it made, and what was measured."""
    import msgspec

    from edgetui.core.olive_footprint import footprint_lines

    async def look(lab: Lab) -> None:
        rows = await lab.olive.footprint(of)
        if as_json:
            print_json(msgspec.to_builtins(rows))
        else:
            print("\n".join(plain_line(line) for line in footprint_lines(rows)))

    _with_lab(look)


@olive.command()
def cache(clear: Annotated[bool, typer.Option("--clear", help="Remove it.")] = False, as_json: AsJson = False) -> None:
    """Say what Olive's cache takes on disk, or clear it."""
    from edgetui.core.units import format_bytes

    async def look(lab: Lab) -> None:
        size = await (lab.olive.clear_cache() if clear else lab.olive.cache_bytes())
        if as_json:
            print_json({"cleared_bytes" if clear else "cache_bytes": size})
        else:
            print(
                f"Olive's cache {'took' if clear else 'takes'} {format_bytes(size)}{'; it is clear.' if clear else '.'}"
            )

    _with_lab(look)


def _with_lab(do: Callable[[Lab], Awaitable[T]]) -> T:
    from edgetui.services.lab import Lab

    async def done() -> T:
        lab = Lab()
        try:
            return await do(lab)
        finally:
            await lab.close()

    return asyncio.run(done())


def _settings(template: str, values: list[str] | None) -> OliveWorkflow:
    from edgetui.cli.convert import pair
    from edgetui.core.workflows.olive import OliveCustom, OliveWorkflow
    from edgetui.services.workflows import workflow_settings

    made: Any = workflow_settings(template, dict(pair(value) for value in values or ()))
    if not isinstance(made, OliveWorkflow) or isinstance(made, OliveCustom):
        raise EdgetuiError(
            "bad_request", f"{plain_line(template)} is no template of Olive's: `edgetui olive list` names them."
        )
    return made
