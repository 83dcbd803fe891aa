"""The hub for screens and commands: searches, pages and headers, from what was told before where there is no link."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Generic, TypeVar

import msgspec

from edgetui.core.failures import EdgetuiError
from edgetui.hub.access import HubAccess
from edgetui.store.hub_answers import HubAnswers

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator
    from pathlib import Path

    from edgetui.config import Paths
    from edgetui.core.hub import HubModel, HubPage, HubQuery, HubVariant
    from edgetui.core.models import ModelEntry
    from edgetui.store.database import Database

T = TypeVar("T")
FRESH_S = 300.0
"""A search that was answered so recently is not asked again."""
_OFFLINE_KINDS = ("network",)
_ENOUGH_ROWS, _MOST_PAGES_AT_ONCE = 25, 10
"""Pages of a sifted search are asked for until there is something to see, but not without end."""


@dataclass(frozen=True)
class Told(Generic[T]):
    """What the hub says, or said."""

    value: T
    fetched_at: float
    """Unix time in seconds."""
    problem: str = ""
    """Why it is not asked now; empty for an answer of today's hub."""


@dataclass(frozen=True)
class Inside:
    """What the headers of a variant tell."""

    entry: ModelEntry | None
    """To be weighed as a model that is here; None for an ONNX build, whose graph is not read."""
    summary: str
    """In one line."""


class Hub:
    """One endpoint, seen through huggingface_hub."""

    def __init__(
        self, paths: Paths, database: Database, access: Callable[[], HubAccess] = HubAccess.of_environment
    ) -> None:
        self._headers_dir = paths.state_dir / "headers"
        self._access = access
        self._answers = HubAnswers(database, access().endpoint)
        self._like: dict[tuple[str, str], Path] = {}
        """A whole header of each repository's commit, to make those of its other variants from."""
        self._fresh: dict[HubQuery, tuple[list[HubModel], bool, float]] = {}

    @property
    def access(self) -> HubAccess:
        """Endpoint and cache."""
        return self._access()

    async def search(self, query: HubQuery) -> AsyncGenerator[Told[list[HubModel]], None]:
        """Page after page; the next is fetched when it is asked for.

        Without a link it is one page of what was seen before, with the reason. Raises `EdgetuiError` where there is
        neither.
        """
        from edgetui.hub import browse

        fresh = self._fresh.get(query)
        if fresh is not None and fresh[1] and time.time() - fresh[2] < FRESH_S:
            yield Told(fresh[0], fresh[2])
            return
        pages = await asyncio.to_thread(browse.search, self.access, query)
        is_first = True
        while True:
            try:
                rows = await self._asked("", _next_rows, pages, query)
            except EdgetuiError as error:
                if not is_first or error.failure.kind not in _OFFLINE_KINDS:
                    raise
                yield await asyncio.to_thread(self._remembered, query, error)
                return
            if rows is None:
                return
            if is_first:
                is_whole = len(rows) < browse.PAGE_ROWS and not query.is_sifted
                self._fresh[query] = (rows, is_whole, time.time())
                with suppress(EdgetuiError, UnicodeError):
                    await asyncio.to_thread(self._answers.keep_search, query, rows)
            is_first = False
            yield Told(rows, time.time())

    async def page(self, repo: str, revision: str = "main") -> Told[HubPage]:
        """Everything about a model; raises `EdgetuiError` where neither the hub nor an earlier answer tells."""
        from edgetui.hub import browse

        try:
            page = await self._asked(repo, browse.page, self.access, repo, revision)
        except EdgetuiError as error:
            if error.failure.kind not in _OFFLINE_KINDS:
                raise
            found = await asyncio.to_thread(self._answers.page, repo, revision)
            if found is None:
                raise
            return Told(found[0], found[1], str(error))
        # What cannot be kept for later is told all the same.
        with suppress(EdgetuiError, UnicodeError):
            await asyncio.to_thread(self._answers.keep_page, page)
        return Told(page, time.time())

    async def revisions(self, repo: str) -> tuple[str, ...]:
        """Names of a model's branches and tags; raises `EdgetuiError`."""
        from edgetui.hub import browse

        return await self._asked(repo, browse.revisions, self.access, repo)

    async def inside(self, page: HubPage, variant: HubVariant) -> Inside:
        """A variant as if it were here: its files have the remote headers and holes for the weights.

        Raises `EdgetuiError` as `fetch_variant` does, and `bad_file` for a header that must not be loaded.
        """
        return await self._asked(page.model.repo, self._look_inside, page, variant)

    async def login(self, token: str) -> str:
        """Keep a token that the hub knows; returns the account's name. Raises `EdgetuiError`."""
        from edgetui.hub.account import login

        return await asyncio.to_thread(login, self.access, token)

    async def _asked(self, repo: str, ask: Callable[..., T], *given: object) -> T:
        """In a thread; whatever goes wrong there comes back in words, since it is others who wrote the answers."""
        try:
            return await asyncio.to_thread(ask, *given)
        except EdgetuiError:
            raise
        except Exception as error:
            from edgetui.hub.failures import hub_failure

            raise hub_failure(error, self.access, repo) from error

    def _look_inside(self, page: HubPage, variant: HubVariant) -> Inside:
        from edgetui.core.hub_text import inside_line, onnx_line
        from edgetui.formats.onnx_config import read_onnx_config
        from edgetui.hub.header import fetch_variant
        from edgetui.services.model_places import Candidate
        from edgetui.services.model_rows import read_details, read_row

        if variant.missing:
            raise EdgetuiError("not_found", f"{variant.name} lacks {len(variant.missing)} of its parts on the hub.")
        place = (page.model.repo, page.commit)
        folder, paths = fetch_variant(self.access, page, variant, self._headers_dir, self._like.get(place))
        if not paths:
            return Inside(None, onnx_line(read_onnx_config(folder)))
        candidate = Candidate(paths, str(paths[0]), "hub", variant.format, *place, variant.name)
        entry = read_row(candidate, variant.size_bytes or 0)
        if entry.problem:
            raise EdgetuiError("bad_file", entry.problem)
        if variant.format == "gguf" and len(paths) == 1:
            self._like.setdefault(place, paths[0])
        details = read_details(entry)
        # Metadata from another variant's header names that one's type, and the fingerprint of a hole is nothing's.
        quant_type = variant.quant_type or (details.shares[0].type_name if details.shares else None)
        entry = msgspec.structs.replace(entry, name=variant.name, quant_type=quant_type, fingerprint="")
        return Inside(entry, inside_line(details))

    def _remembered(self, query: HubQuery, error: EdgetuiError) -> Told[list[HubModel]]:
        found = self._answers.search(query)
        if found is not None:
            return Told(found[0], found[1], str(error))
        models = [model for model in self._answers.all_models() if _answers(model, query)]
        if not models:
            raise error
        return Told(models, 0.0, str(error))


def _next_rows(pages: Iterator[list[HubModel]], query: HubQuery) -> list[HubModel] | None:
    """The next page; where few of its rows pass the filters, several in one. None after the last."""
    rows: list[HubModel] | None = None
    for more in islice(pages, _MOST_PAGES_AT_ONCE if query.is_sifted else 1):
        rows = (rows or []) + more
        if len(rows) >= _ENOUGH_ROWS:
            break
    return rows


def _answers(model: HubModel, query: HubQuery) -> bool:
    """Whether a model that was seen would be found by a search."""
    return (
        query.text.strip().lower() in model.repo.lower()
        and (not query.author or model.repo.split("/")[0] == query.author)
        and all(each in model.formats for each in query.formats)
        and (not query.task or model.task == query.task)
        and (not query.language or query.language in model.tags)
        and (not query.licence or model.licence == query.licence)
        and (query.gated is None or model.gated == query.gated)
        and query.lets_through(model)
    )
