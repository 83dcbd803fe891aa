"""Bringing models from the hub: checked before they start, then jobs that outlive the terminal."""

from __future__ import annotations

import asyncio
import shutil
from typing import TYPE_CHECKING

from edgetui.core.failures import EdgetuiError
from edgetui.core.hub import is_safe_path
from edgetui.core.plain_text import plain_line
from edgetui.core.units import format_bytes
from edgetui.formats.hub_cache import partial_blob, repo_folder
from edgetui.worker.requests import DownloadRequest

if TYPE_CHECKING:
    from pathlib import Path

    from edgetui.config import Settings
    from edgetui.core.hub import HubPage, HubVariant
    from edgetui.core.jobs import JobRecord
    from edgetui.services.hub import Hub
    from edgetui.services.jobs import Jobs


class Downloads:
    """Starts them; `Jobs` lists, pauses and ends them."""

    def __init__(self, settings: Settings, jobs: Jobs, hub: Hub) -> None:
        self._settings = settings
        self._jobs = jobs
        self._hub = hub

    async def start(self, page: HubPage, variant: HubVariant, *, priority: int = 5) -> JobRecord:
        """Start one.

        Raises `EdgetuiError`: `bad_file` for a variant with parts missing or a hostile name, `busy` while it is being
        downloaded, `no_space`, `network` when the hub must not be asked.
        """
        access = self._hub.access
        access.require_online()
        if variant.missing:
            raise EdgetuiError(
                "bad_file",
                f"{variant.name} lacks {len(variant.missing)} of its parts on the hub: take another variant.",
            )
        if not all(is_safe_path(file.path) for file in variant.files):
            raise EdgetuiError("bad_file", f"{plain_line(variant.name)} names files outside its repository: refused.")
        running = [job for job in await self._jobs.list() if job.is_running and job.kind == "download"]
        if any(job.subject == page.model.repo and job.goal == variant.name for job in running):
            raise EdgetuiError("busy", f"{variant.name} is being downloaded already: see Jobs.")
        folder = repo_folder(access.cache, page.model.repo)
        await asyncio.to_thread(_require_space, folder, variant, self._settings.disk_headroom_bytes)
        return await self._jobs.start(
            DownloadRequest(
                repo=page.model.repo,
                revision=page.revision,
                commit=page.commit,
                name=variant.name,
                files=variant.files,
                endpoint=access.endpoint,
                cache=str(access.cache),
                bytes_per_s=self._settings.download_bytes_per_s,
                headroom_bytes=self._settings.disk_headroom_bytes,
                at_once=self._settings.downloads_at_once,
                priority=priority,
            )
        )


def _require_space(folder: Path, variant: HubVariant, headroom_bytes: int) -> None:
    here = sum(_here_bytes(folder / "blobs" / (file.sha256 or file.git_id)) for file in variant.files)
    more = (variant.size_bytes or 0) - here
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if more + headroom_bytes > free:
        raise EdgetuiError(
            "no_space",
            f"{variant.name} needs {format_bytes(more)} more, {format_bytes(free)} are free on the disk of {existing},"
            f" and {format_bytes(headroom_bytes)} stay free for the system: make room, or set HF_HOME to another disk.",
        )


def _here_bytes(blob: Path) -> int:
    """Of a file that is here, or of what has come of it so far."""
    for path in (blob, partial_blob(blob)):
        try:
            return path.stat().st_size
        except OSError:
            continue
    return 0
