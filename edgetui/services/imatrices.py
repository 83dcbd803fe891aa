"""Importance matrices on this machine: making one of a model and a text, and what is there."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edgetui.core.failures import EdgetuiError
from edgetui.formats.imatrix import read_summary
from edgetui.formats.text_file import read_text
from edgetui.services.quantizer import require_unmade, require_usable
from edgetui.store.provenance import Provenance
from edgetui.worker.requests import ImatrixRequest

if TYPE_CHECKING:
    from edgetui.config import Paths
    from edgetui.core.jobs import JobRecord
    from edgetui.core.models import ModelEntry
    from edgetui.services.jobs import Jobs
    from edgetui.store.database import Database

CHUNKS = 40
"""Of 512 tokens: as many as settle the figures of a small model; larger texts change little and take longer."""
TOPICS = "topics"
"""The text that is wherever Python is."""


class KnownImatrix(msgspec.Struct, frozen=True, kw_only=True):
    """One that is here, as a list shows it."""

    path: str
    model_name: str | None
    """None of a file that was not made here."""
    text_name: str
    chunk_count: int
    chunk_tokens: int
    entry_count: int
    size_bytes: int
    created: float | None
    """Unix time in seconds."""
    problem: str | None = None
    """Why it cannot be used, in a sentence."""

    @property
    def name(self) -> str:
        """Of the file."""
        return Path(self.path).name


class Imatrices:
    """The importance matrices of one data folder."""

    def __init__(self, paths: Paths, jobs: Jobs, database: Database) -> None:
        self.folder = paths.data_dir / "imatrices"
        self._jobs = jobs
        self._provenance = Provenance(database)

    async def list(self) -> tuple[KnownImatrix, ...]:
        """All that are here, the newest first."""
        return await asyncio.to_thread(self._look)

    async def made_of(self, entry: ModelEntry) -> tuple[KnownImatrix, ...]:
        """Sound ones that were made of this model, or of the model that it was made of, the newest first."""
        names = {entry.name, entry.parent}
        return tuple(known for known in await self.list() if known.problem is None and known.model_name in names)

    async def checked(self, path: str) -> str:
        """The full path of a file that is an importance matrix; raises `EdgetuiError` as `read_summary` does."""

        def check() -> str:
            found = Path(path).expanduser()
            read_summary(found)
            return str(found)

        return await asyncio.to_thread(check)

    def request(self, entry: ModelEntry, text: str = TOPICS, chunks: int = CHUNKS, threads: int = 0) -> ImatrixRequest:
        """What the job is asked for; `text` is `topics` or the path of a UTF-8 file, and 0 chunks are all of it."""
        path = "" if text == TOPICS else str(Path(os.path.expanduser(text)).absolute())
        text_name = Path(path).name if path else TOPICS
        words = [
            entry.name[:100].replace("/", "-"),
            re.sub(r"[^\w.-]+", "-", Path(text_name).stem)[:40],
            str(chunks) if chunks else "all",
        ]
        return ImatrixRequest(
            model=str(entry.path),
            model_name=entry.name,
            target=str(self.folder / f"{'-'.join(words)}.gguf"),
            text=path,
            text_name=text_name,
            chunks=chunks,
            threads=threads,
        )

    async def start(self, request: ImatrixRequest, entry: ModelEntry) -> JobRecord:
        """Start the job after every check that can be made before it.

        Raises `EdgetuiError`: `bad_file`, `not_found`, `unsupported`, `bad_request`, `exists`, `busy`,
        `no_permission`, `no_space`.
        """
        await asyncio.to_thread(_require_startable, request, entry)
        await require_unmade(self._jobs, request)
        return await self._jobs.start(request)

    def _look(self) -> tuple[KnownImatrix, ...]:
        try:
            paths = sorted(self.folder.glob("[!.]*.gguf"))
        except OSError as error:
            raise EdgetuiError(
                "no_permission", f"The folder {self.folder} cannot be read ({error.strerror})."
            ) from error
        found = [self._known(path) for path in paths]
        return tuple(sorted(found, key=lambda known: -(known.created or 0)))

    def _known(self, path: Path) -> KnownImatrix:
        origin = self._provenance.origin_of(path)
        try:
            summary = read_summary(path)
        except EdgetuiError as error:
            return KnownImatrix(
                path=str(path),
                model_name=origin.parent_name if origin else None,
                text_name="",
                chunk_count=0,
                chunk_tokens=0,
                entry_count=0,
                size_bytes=path.lstat().st_size,
                created=origin.created if origin else None,
                problem=str(error),
            )
        return KnownImatrix(
            path=str(path),
            model_name=origin.parent_name if origin else None,
            text_name=summary.datasets[0] if summary.datasets else "",
            chunk_count=summary.chunk_count,
            chunk_tokens=summary.chunk_tokens,
            entry_count=summary.entry_count,
            size_bytes=summary.size_bytes,
            created=origin.created if origin else None,
        )


def _require_startable(request: ImatrixRequest, entry: ModelEntry) -> None:
    require_usable(entry)
    if request.text:
        read_text(Path(request.text))
    if os.path.lexists(request.target):
        raise EdgetuiError(
            "exists",
            f"{request.target} is already there: take it with --imatrix, remove it, or take another number of chunks.",
        )
