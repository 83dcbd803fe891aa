"""The connection to one server: where questions go, who gets the key, and how much is taken in."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx2
import msgspec

from edgetui.core.failures import EdgetuiError
from edgetui.core.plain_text import plain_line
from edgetui.core.servers import api_base, checked_address, server_root
from edgetui.engines.server.failures import Sentences

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Sequence

    from edgetui.core.servers import ServerEndpoint
    from edgetui.engines.stopping import StopFlag

MOST_ANSWER_BYTES = 32 * 1024 * 1024
"""Of a whole answer: lists of a few thousand models take some MiB."""
MOST_ERROR_BYTES = 64 * 1024
CONNECT_S = 10.0
"""Longest wait for a connection, where the endpoint's own limit is not shorter."""
STOP_LOOK_S = 0.02
"""How often it is looked whether the person wants to stop; a stop must end everything within 100 ms."""
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Link:
    """Asks one server. All of it runs in one event loop of its own, so that connections are kept between questions."""

    def __init__(self, endpoint: ServerEndpoint, key: str) -> None:
        """Raises `EdgetuiError("bad_request")` for an address or a key that cannot be one."""
        split = checked_address(endpoint)
        if key and not (key.isascii() and key.isprintable() and " " not in key):
            raise EdgetuiError(
                "bad_request", f"The key of {plain_line(endpoint.name)} has characters that no key has: set it again."
            )
        self.endpoint = endpoint
        self.host = plain_line(split.netloc)
        self._base, self._root = api_base(endpoint.url), server_root(endpoint.url)
        self.sentences = Sentences(endpoint.name, self.host, key)
        self.is_open_to_all = bool(key) and split.scheme == "http" and split.hostname not in _LOOPBACK
        """Whether the key travels in clear over a network."""
        self.refused: set[str] = set()
        """Words of a request that the server has refused."""
        self._loop = asyncio.new_event_loop()
        self._client = httpx2.AsyncClient(
            # An answer that unpacks to something huge cannot come when nothing packed is taken.
            headers={"Accept-Encoding": "identity", **({"Authorization": f"Bearer {key}"} if key else {})},
            timeout=httpx2.Timeout(endpoint.timeout_s, connect=min(endpoint.timeout_s, CONNECT_S)),
            follow_redirects=False,
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=None),
            # A proxy has no way to this machine's own servers.
            trust_env=split.hostname not in _LOOPBACK,
        )

    def run(self, work: Coroutine[Any, Any, Any], stop: StopFlag | None = None) -> Any:
        """Do `work` in the loop; when stopped it is cancelled, and `asyncio.CancelledError` is raised."""
        return self._loop.run_until_complete(_stoppable(work, stop))

    def close(self) -> None:
        """Hang up."""
        self._loop.run_until_complete(self._client.aclose())
        self._loop.close()

    async def get(self, path: str, *, native: bool = False) -> Any:
        """JSON of a GET below the base; `native` below the server's own root."""
        return await self._ask("GET", path, None, native, ())

    async def post(self, path: str, body: Any, *, native: bool = False, models: Sequence[str] = ()) -> Any:
        """JSON of a POST; `models` are named where the address or the model is unknown."""
        return await self._ask("POST", path, body, native, models)

    @asynccontextmanager
    async def stream(self, path: str, body: Any, models: Sequence[str] = ()) -> AsyncIterator[AsyncIterator[bytes]]:
        """The pieces of an event stream as they come; raises `EdgetuiError` for all that is none."""
        try:
            async with self._client.stream("POST", f"{self._base}/{path}", json=body) as answer:
                await self._check(answer, models)
                kind = answer.headers.get("content-type", "")
                if "event-stream" not in kind.lower():
                    raise self.sentences.no_stream(kind, await self._read(answer, MOST_ERROR_BYTES, cut=True))
                yield answer.aiter_raw()
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise self.sentences.of_transport(error, self.endpoint.timeout_s) from error

    async def _ask(self, method: str, path: str, body: Any, native: bool, models: Sequence[str]) -> Any:
        try:
            address = f"{self._root if native else self._base}/{path}"
            async with self._client.stream(method, address, json=body) as answer:
                await self._check(answer, models)
                raw = await self._read(answer, MOST_ANSWER_BYTES)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise self.sentences.of_transport(error, self.endpoint.timeout_s) from error
        try:
            return msgspec.json.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise self.sentences.no_json(answer.headers.get("content-type", ""), raw) from error

    async def _check(self, answer: httpx2.Response, models: Sequence[str]) -> None:
        packed = answer.headers.get("content-encoding", "identity").strip().lower()
        if packed not in ("", "identity"):
            raise self.sentences.failure(
                "network",
                f"packs its answers ({plain_line(packed)}) though it was asked not to: see what stands between.",
            )
        if answer.status_code != 200:
            body = await self._read(answer, MOST_ERROR_BYTES, cut=True)
            raise self.sentences.of_status(answer.status_code, answer.headers, body, models)

    async def _read(self, answer: httpx2.Response, most: int, *, cut: bool = False) -> bytes:
        body = bytearray()
        async for piece in answer.aiter_raw():
            body += piece
            if len(body) > most:
                if cut:
                    break
                raise self.sentences.failure("network", "answers without end: it is no OpenAI-compatible server.")
        return bytes(body[:most])


async def _stoppable(work: Coroutine[Any, Any, Any], stop: StopFlag | None) -> Any:
    task = asyncio.ensure_future(work)
    if stop is None:
        return await task
    while not task.done():
        if stop.is_set:
            task.cancel()
            break
        await asyncio.wait((task,), timeout=STOP_LOOK_S)
    return await task
