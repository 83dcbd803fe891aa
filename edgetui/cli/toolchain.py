"""`edgetui toolchain`: environments of the toolchains; installing is a job like any other."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgetui.cli.follow import print_json, start_and_follow
from edgetui.core.plain_text import plain_line

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from edgetui.core.jobs import JobRecord
    from edgetui.core.toolchains import ToolchainStatus
    from edgetui.services.lab import Lab

toolchain = typer.Typer(
    help="List, install, remove and test the environments of ONNX, Olive, MLX and the GGUF converter.",
    rich_markup_mode=None,
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="gguf, onnx, olive or mlx.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@toolchain.callback(invoke_without_command=True)
def overview(context: typer.Context, as_json: AsJson = False) -> None:
    """List all toolchains when nothing else is asked."""
    if context.invoked_subcommand is None:
        _list(as_json)


@toolchain.command("list")
def list_toolchains(as_json: AsJson = False) -> None:
    """List all toolchains and the state of each."""
    _list(as_json)


@toolchain.command()
def install(
    name: Name,
    again: Annotated[bool, typer.Option("--again", help="Also where it is installed: make it anew.")] = False,
    detach: Annotated[
        bool, typer.Option("--detach", help="Print the job's id and return; see `edgetui jobs`.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make the environment out of pinned packages; Ctrl-C cancels and leaves nothing."""
    raise typer.Exit(_with_lab(lambda lab: _install(lab, name, again, detach, as_json)))


@toolchain.command()
def remove(name: Name, as_json: AsJson = False) -> None:
    """Remove the environment; models that it made stay."""
    from edgetui.core.units import format_bytes

    size_bytes = _with_lab(lambda lab: lab.toolchains.remove(name))
    if as_json:
        print_json({"removed": name, "size_bytes": size_bytes})
    else:
        print(f"{name} removed: {format_bytes(size_bytes)} are free again")


@toolchain.command()
def test(name: Name, as_json: AsJson = False) -> None:
    """Prove that it works by making something small whose result is known."""
    from edgetui.core.units import format_duration

    proof = _with_lab(lambda lab: lab.toolchains.test(name))
    if as_json:
        print_json({"toolchain": proof.name, "proved": proof.found, "duration_s": proof.duration_s})
    else:
        print(plain_line(f"{proof.name} works: {proof.found} ({format_duration(proof.duration_s)})"))


async def _install(lab: Lab, name: str, again: bool, detach: bool, as_json: bool) -> int:
    status = await lab.toolchains.status(name)
    if status.state == "ready" and not again:
        if as_json:
            print_json(_figures(status))
        else:
            print(status.folder)
            print(f"edgetui: {status.name} is installed already; --again makes it anew.", file=sys.stderr)
        return 0

    def start() -> Awaitable[JobRecord]:
        return lab.toolchains.install(name)

    return await start_and_follow(lab, start, detach=detach, as_json=as_json)


def _list(as_json: bool) -> None:
    from edgetui.core.toolchain_text import status_text
    from edgetui.core.units import MIB, format_bytes

    found: tuple[ToolchainStatus, ...] = _with_lab(lambda lab: lab.toolchains.list())
    if as_json:
        print_json([_figures(status) for status in found])
        return
    for status in found:
        print(plain_line(f"{status.name:<7}{status_text(status)}"))
        print(f"       {status.toolchain.title}: {status.toolchain.purpose}")
        for note in status.toolchain.notes:
            print(f"       {note}")
        if status.state == "absent":
            room = format_bytes(status.toolchain.installed_mib * MIB)
            print(f"       Takes {room}: edgetui toolchain install {status.name}")


def _figures(status: ToolchainStatus) -> dict[str, object]:
    mark = status.mark
    return {
        "toolchain": status.name,
        "title": status.toolchain.title,
        "purpose": status.toolchain.purpose,
        "notes": list(status.toolchain.notes),
        "state": status.state,
        "reason": status.reason,
        "folder": status.folder,
        "installing_mib": status.toolchain.installing_mib,
        "installed_mib": status.toolchain.installed_mib,
        "python": mark.python if mark else None,
        "converter": mark.converter or None if mark else None,
        "made_at": mark.made_at if mark else None,
        "versions": mark.versions if mark else {},
    }


def _with_lab(action: Callable[[Lab], Awaitable[Any]]) -> Any:
    from edgetui.services.lab import Lab

    async def run() -> Any:
        lab = Lab()
        try:
            return await action(lab)
        finally:
            await lab.close()

    return asyncio.run(run())
