"""Adding a server by its address: what it is called, where its key is, and a try of it before it is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from edgetui.core.failures import EdgetuiError
from edgetui.core.servers import KeyVariable, proposed_name, read_address
from edgetui.screens.fields_dialog import Field, FieldError, FieldsDialog

if TYPE_CHECKING:
    from textual.app import App

    from edgetui.core.servers import ServerEndpoint
    from edgetui.services.servers import ServerCheck, Servers

_ABOUT = "It is asked for one token before it is kept; a key is kept nowhere here."


class _Form(msgspec.Struct):
    """What is typed of a `ServerEndpoint`."""

    url: str = ""
    name: str = ""
    key_variable: KeyVariable = ""
    model: str = ""


async def add_server(app: App[Any], servers: Servers, url: str) -> tuple[ServerEndpoint, ServerCheck | None] | None:
    """Ask for the rest, try it, keep it; gives it with what the try found, None for one that was left.

    A server that does not answer can be kept all the same, by a second enter: it may be off now. Raises `EdgetuiError`
    where the list of servers cannot be read.
    """
    taken = [endpoint.name for endpoint in await servers.endpoints()]
    kept: list[tuple[ServerEndpoint, ServerCheck | None]] = []
    silent: list[ServerEndpoint] = []

    async def settle(values: dict[str, Any]) -> None:
        try:
            endpoint = await servers.proposed(**values)
        except EdgetuiError as error:
            raise FieldError("name", error.failure) from error
        check = None
        if endpoint not in silent:
            try:
                check = await servers.check(endpoint)
            except EdgetuiError as error:
                silent.append(endpoint)
                raise EdgetuiError(
                    error.failure.kind, f"{error} Enter adds it all the same.", error.failure.detail
                ) from error
        kept.append((await servers.add(**values), check))

    fields = [
        Field(_Form, "url", "Address", "", url, parse=read_address, shown=url),
        Field(_Form, "name", "Name", "what you call it", proposed_name(url, taken)),
        Field(_Form, "key_variable", "Key's variable", "such as LAB_KEY; empty: no key", ""),
        Field(_Form, "model", "Model", "as it calls it; empty: its first", ""),
    ]

    await app.push_screen_wait(FieldsDialog("Add a server", fields, _ABOUT, settle))
    return kept[0] if kept else None
