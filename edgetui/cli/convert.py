"""`edgetui convert`: make a model of another by a workflow of a toolchain; the work is a job like any other."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgetui.cli.follow import print_json, start_and_follow
from edgetui.core.failures import EdgetuiError
from edgetui.core.plain_text import plain_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetui.core.jobs import JobRecord
    from edgetui.core.workflows import Workflow
    from edgetui.services.lab import Lab


def convert(
    model: Annotated[
        str | None, typer.Argument(help="Name or path of a model; see `edgetui models`. None lists all workflows.")
    ] = None,
    workflow: Annotated[
        str | None, typer.Argument(metavar="WORKFLOW", help="Such as onnx-build; none lists those for the model.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Argument(metavar="NAME=VALUE", help="Settings of the workflow.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="File or folder to make; else a new name in the models folder."),
    ] = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="Print the job's id and return; see `edgetui jobs`.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Convert, build or quantize by a toolchain (ONNX, Olive, MLX, GGUF); Ctrl-C cancels and leaves nothing."""
    from edgetui.services.lab import Lab

    lab = Lab()
    if model is None or workflow is None:
        asyncio.run(_list(lab, model, as_json))
        return
    values = dict(pair(setting) for setting in settings or ())
    raise typer.Exit(asyncio.run(_make(lab, model, workflow, values, output, detach, as_json)))


def pair(setting: str) -> tuple[str, str]:
    """`NAME=VALUE` apart; raises `EdgetuiError("bad_request")`."""
    name, equals, value = setting.partition("=")
    if not equals:
        raise EdgetuiError("bad_request", f"{plain_line(setting)} is no setting: write NAME=VALUE, such as bits=4.")
    return name.strip(), value.strip()


async def _list(lab: Lab, model: str | None, as_json: bool) -> None:
    from edgetui.core.workflows import WORKFLOWS

    try:
        workflows = WORKFLOWS if model is None else lab.workflows.for_model(await lab.catalog.find(model))
    finally:
        await lab.close()
    if as_json:
        print_json([_figures(workflow) for workflow in workflows])
    else:
        _print(workflows)


async def _make(
    lab: Lab, model: str, workflow: str, values: dict[str, str], output: Path | None, detach: bool, as_json: bool
) -> int:
    from edgetui.services.workflows import workflow_settings

    try:
        settings = workflow_settings(workflow, values)
        entry = await lab.catalog.find(model)
        caution = lab.workflows.caution(entry, settings)

        async def start() -> JobRecord:
            record = await lab.workflows.start(entry, settings, target=output)
            if caution is not None:
                print(f"edgetui: {plain_line(caution)}", file=sys.stderr)
            return record

        return await start_and_follow(lab, start, detach=detach, as_json=as_json)
    finally:
        await lab.close()


def _figures(workflow: type[Workflow]) -> dict[str, object]:
    from edgetui.core.workflows import workflow_name

    return {
        "workflow": workflow_name(workflow),
        "title": workflow.TITLE,
        "purpose": workflow.PURPOSE,
        "toolchain": workflow.TOOLCHAIN,
        "takes": list(workflow.TAKES),
        "gguf_types": list(workflow.GGUF_TYPES),
        "makes": workflow.MAKES,
        "settings": {
            name: {"label": label, "note": note, "default": getattr(workflow(), name)}
            for name, (label, note) in workflow.FIELDS.items()
        },
    }


def _print(workflows: Sequence[type[Workflow]]) -> None:
    from edgetui.core.workflows import takes_text, workflow_name
    from edgetui.services.engine_devices import toolchain_note

    if not workflows:
        print("No workflow takes this model.")
    for workflow in workflows:
        print(f"{workflow_name(workflow):<22}{takes_text(workflow, ', ')} -> {workflow.MAKES}: {workflow.PURPOSE}")
        for name, (_, note) in workflow.FIELDS.items():
            print(f"    {name}={_typed(getattr(workflow(), name))}  {note}")
    for slow in dict.fromkeys(toolchain_note(workflow.TOOLCHAIN) for workflow in workflows):
        if slow:
            print(f"{slow}.")


def _typed(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)
