"""`edgetui login`: keep a token for the hub, where every tool on this machine finds it."""

from __future__ import annotations

import asyncio
import sys

import typer


def login() -> None:
    """Ask for a token without showing it, let the hub check it, and keep it where huggingface_hub does."""
    token = typer.prompt("Token (from the hub's settings page; it is not shown)", hide_input=True, err=True).strip()
    name = asyncio.run(_login(token))
    print(f"edgetui: Logged in as {name}.", file=sys.stderr)


async def _login(token: str) -> str:
    from edgetui.services.lab import Lab

    lab = Lab()
    try:
        return await lab.hub.login(token)
    finally:
        await lab.close()
