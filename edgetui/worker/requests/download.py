"""Work of the hub."""

from __future__ import annotations

from typing import ClassVar

from edgetui.core.hub import HubFile
from edgetui.core.jobs import JobKind
from edgetui.worker.requests.base import Request


class DownloadRequest(Request, frozen=True, kw_only=True):
    """Bring files of one commit of a hub repository into the hub's cache."""

    KIND: ClassVar[JobKind] = "download"
    GOES_ON: ClassVar[bool] = True

    repo: str
    revision: str
    """Branch, tag or commit that was asked for."""
    commit: str
    name: str
    """Of the model that the files make up."""
    files: tuple[HubFile, ...]
    endpoint: str
    cache: str
    """Folder of the hub's cache."""
    bytes_per_s: int = 0
    """Limit of the rate; 0 for none."""
    headroom_bytes: int = 0
    """Free space that must remain on the disk."""
    at_once: int = 2
    """So many downloads run side by side; further ones wait."""
    priority: int = 5
    """From 0, the first in the queue, to 9."""

    @property
    def subject(self) -> str:
        """The repository."""
        return self.repo

    @property
    def goal(self) -> str:
        """The variant."""
        return self.name
