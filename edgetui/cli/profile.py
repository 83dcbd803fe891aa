"""`edgetui profile`: settings saved for models on this machine."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgetui.core.plain_text import plain_line

if TYPE_CHECKING:
    from edgetui.core.failures import Failure
    from edgetui.core.profiles import Profile
    from edgetui.services.lab import Lab

profile = typer.Typer(
    help="Settings saved for models on this machine: `edgetui run MODEL --profile NAME` takes one up.",
    rich_markup_mode=None,
    no_args_is_help=True,
)

Model = Annotated[str, typer.Argument(help="Name or path of a model.")]
Name = Annotated[str, typer.Argument(help="Name of the profile.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@profile.command(name="list")
def list_profiles(
    model: Annotated[str | None, typer.Argument(help="Only those of this model.")] = None, as_json: AsJson = False
) -> None:
    """List profiles with their notes; the one that was used last stands first."""
    from edgetui.services.lab import Lab

    found, unreadable = asyncio.run(_list(Lab(), model))
    for failure in unreadable:
        print(plain_line(f"edgetui: {failure.message}"), file=sys.stderr)
    if as_json:
        _print_json(found)
        return
    if not found and not unreadable:
        print(
            "There is no profile: the settings of Run (ctrl+s, then ctrl+l) save one, and so does `edgetui autotune`."
        )
    for each in found:
        print(plain_line(f"{each.model_name or '-'}  {each.name}  {each.note}".rstrip()))


@profile.command()
def show(model: Model, name: Name, as_json: AsJson = False) -> None:
    """Print a profile's settings, those first that are not the usual ones."""
    from edgetui.services.lab import Lab

    found = asyncio.run(_get(Lab(), model, name))
    if as_json:
        _print_json(found)
        return
    print(plain_line(f"{found.name}: {found.note}" if found.note else found.name))
    if found.system_prompt:
        print(plain_line(f"  system prompt: {found.system_prompt}"))
    for changed in (True, False):
        for each in found.stated:
            if (each.value != each.usual) is changed:
                print(plain_line(f"{'*' if changed else ' '} {each.name} = {each.value}"))
    if found.is_partial:
        print("It changes nothing else: all other settings stay as they are where it is taken up.")


@profile.command()
def delete(model: Model, name: Name) -> None:
    """Forget a profile."""
    from edgetui.services.lab import Lab

    asyncio.run(_delete(Lab(), model, name))
    print(plain_line(f"Deleted: {name}"))


async def _list(lab: Lab, model: str | None) -> tuple[list[Profile], list[Failure]]:
    try:
        key = None if model is None else await _key(lab, model)
        found = await lab.profiles.all() if key is None else await lab.profiles.of(key)
        return found, await lab.profiles.unreadable(key)
    finally:
        await lab.close()


async def _get(lab: Lab, model: str, name: str) -> Profile:
    try:
        return await lab.profiles.get(await _key(lab, model), name)
    finally:
        await lab.close()


async def _delete(lab: Lab, model: str, name: str) -> None:
    try:
        await lab.profiles.delete(await _key(lab, model), name)
    finally:
        await lab.close()


async def _key(lab: Lab, model: str) -> str:
    from edgetui.services.profiles import model_key

    return model_key(await lab.find_model(model))


def _print_json(value: Any) -> None:
    import msgspec

    print(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
