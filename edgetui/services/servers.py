"""Servers that speak OpenAI's protocol: kept by name, listed as models, tried, and measured under load."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edgetui.core.failures import EdgetuiError
from edgetui.core.models import ModelEntry
from edgetui.core.plain_text import plain_line
from edgetui.core.run_settings import ChatMessage, LoadSettings, SamplingSettings
from edgetui.core.servers import ServerEndpoint, checked_address
from edgetui.core.setting_values import checked
from edgetui.store.server_keys import find_key, how_to_keep
from edgetui.store.server_list import ServerList
from edgetui.worker.protocol import Finished, Generate, Load, Loaded, Tokens
from edgetui.worker.requests import ServerBenchRequest
from edgetui.worker.session import session_worker

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    from edgetui.config import Paths
    from edgetui.core.bench import Machine
    from edgetui.core.jobs import JobRecord
    from edgetui.core.server_load import ServerBenchSettings
    from edgetui.services.jobs import Jobs

FILE = "servers.toml"


class ServerCheck(msgspec.Struct, frozen=True):
    """What a try of a server found."""

    loaded: Loaded
    text: str
    """What it answered."""
    finished: Finished


class Servers:
    """The servers that a person has named; a model of one is a `ModelEntry` like any other."""

    def __init__(self, paths: Paths, jobs: Callable[[], Jobs], machine: Callable[[], Awaitable[Machine]]) -> None:
        """`jobs` gives the service of jobs when a measurement needs it, `machine` what asks the server then."""
        self._paths = paths
        self._jobs = jobs
        self._machine = machine
        self._list = ServerList(paths.config_file.with_name(FILE))

    async def endpoints(self) -> tuple[ServerEndpoint, ...]:
        """All that were added; raises `EdgetuiError("bad_settings")` for a broken file."""
        return await asyncio.to_thread(self._list.read)

    async def proposed(self, **told: Any) -> ServerEndpoint:
        """One by the fields of `ServerEndpoint`, not kept yet; raises `EdgetuiError`: `bad_request`, `exists`."""
        try:
            endpoint = msgspec.convert({key: value for key, value in told.items() if value is not None}, ServerEndpoint)
        except msgspec.ValidationError as error:
            reason, _, where = str(error).replace("`", "").partition(" - at $.")
            if where == "key_variable":
                reason = "it is the name of an environment variable, such as LAB_KEY"
            raise EdgetuiError(
                "bad_request",
                "An address begins with http:// or https://, such as http://127.0.0.1:8080."
                if where == "url"
                else f"The value for {where.replace('_', '-')} cannot be used: {reason[:1].lower()}{reason[1:]}.",
            ) from error
        if not endpoint.name.strip() or "/" in endpoint.name or endpoint.name != plain_line(endpoint.name):
            raise EdgetuiError("bad_request", "A server's name is a word of yours without a slash: take another.")
        checked_address(endpoint)
        if any(each.name == endpoint.name for each in await self.endpoints()):
            raise EdgetuiError(
                "exists", f"There is a server {endpoint.name} already: remove it first, or take another name."
            )
        return endpoint

    async def add(self, **told: Any) -> ServerEndpoint:
        """Keep one; raises as `proposed` does."""
        endpoint = await self.proposed(**told)
        await asyncio.to_thread(self._list.write, (*await self.endpoints(), endpoint))
        return endpoint

    async def remove(self, name: str) -> ServerEndpoint:
        """Forget one; raises `EdgetuiError("not_found")`."""
        endpoint = await self.get(name)
        rest = [each for each in await self.endpoints() if each != endpoint]
        await asyncio.to_thread(self._list.write, rest)
        return endpoint

    async def get(self, name: str) -> ServerEndpoint:
        """The one of this name, or `NAME/MODEL` for another of its models; raises `EdgetuiError("not_found")`."""
        endpoints = await self.endpoints()
        if (found := _found(endpoints, name)) is not None:
            return found
        known = ", ".join(each.name for each in endpoints)
        advice = f"there is {known}" if known else "add one with `edgetui server add NAME URL`"
        raise EdgetuiError("not_found", f"There is no server {plain_line(name)}: {advice}.")

    async def entries(self) -> list[ModelEntry]:
        """A row for each; no server is asked, and a broken file is none of a list's business."""
        try:
            return [entry_of(endpoint) for endpoint in await self.endpoints()]
        except EdgetuiError:
            return []

    async def find(self, name: str) -> ModelEntry | None:
        """The model of exactly this name, or `NAME/MODEL`; None for none."""
        try:
            found = _found(await self.endpoints(), name)
        except EdgetuiError:
            return None
        return None if found is None else entry_of(found)

    async def read_key(self, endpoint: ServerEndpoint) -> str:
        """Its key, empty where it has none; raises `EdgetuiError` as `find_key` does."""
        return await asyncio.to_thread(find_key, endpoint)

    @staticmethod
    def how_to_keep_a_key(name: str) -> str | None:
        """The command that puts one into the keyring; None where there is none."""
        return how_to_keep(name)

    async def look(self, endpoint: ServerEndpoint) -> Loaded:
        """What it is and which models it has; raises `EdgetuiError`."""
        command = Load(path="", settings=LoadSettings(), endpoint=endpoint, key=await self.read_key(endpoint))
        async with (
            session_worker(self._paths.log_dir, "server") as worker,
            aclosing(worker.request(command)) as events,
        ):
            async for event in events:
                if isinstance(event, Loaded):
                    return event
        raise AssertionError("a load ends with Loaded or an error")

    async def check(self, endpoint: ServerEndpoint) -> ServerCheck:
        """Look at it and have it say one token; raises `EdgetuiError`."""
        load = Load(path="", settings=LoadSettings(), endpoint=endpoint, key=await self.read_key(endpoint))
        question = Generate(
            turn=1,
            messages=(ChatMessage("user", "Say OK."),),
            sampling=SamplingSettings(temperature=0.0, max_tokens=1),
        )
        loaded, finished, text = None, None, ""
        async with session_worker(self._paths.log_dir, "server") as worker:
            for command in (load, question):
                async with aclosing(worker.request(command)) as events:
                    async for event in events:
                        if isinstance(event, Loaded):
                            loaded = event
                        elif isinstance(event, Finished):
                            finished = event
                        elif isinstance(event, Tokens):
                            text += event.text
        assert loaded is not None and finished is not None, "each command ends with its answer or an error"
        return ServerCheck(loaded, text, finished)

    async def measure(self, endpoint: ServerEndpoint, settings: ServerBenchSettings) -> JobRecord:
        """Measure it under load, in a job whose journal keeps the rows.

        Raises `EdgetuiError`: `bad_request`, `busy` beside any other job, and as `read_key` and `Jobs.start` do.
        """
        # A key that is missing shows now and not in a job's log; the job finds it anew, so that it is written nowhere.
        await self.read_key(endpoint)
        return await self._jobs().start_alone(
            ServerBenchRequest(endpoint=endpoint, settings=checked(settings), machine=await self._machine())
        )


def entry_of(endpoint: ServerEndpoint) -> ModelEntry:
    """A server's model as a row of a list."""
    return ModelEntry(
        name=f"{endpoint.name}/{endpoint.model}" if endpoint.model else endpoint.name,
        path=Path(),
        parts=(),
        source="server",
        format="server",
        size_bytes=0,
        endpoint=endpoint,
    )


def _found(endpoints: tuple[ServerEndpoint, ...], name: str) -> ServerEndpoint | None:
    server, slash, model = name.partition("/")
    found = next((each for each in endpoints if each.name == server), None)
    return msgspec.structs.replace(found, model=model) if found is not None and slash else found
