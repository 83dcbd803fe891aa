"""What the loopback hub holds: repositories, their files and what the hub tells of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

LARGE_BYTES = 1024
"""Files from here on lie on the content host, as what Git LFS keeps does."""


@dataclass(frozen=True)
class StoredFile:
    """One file of a repository; `data` is its content or the file that holds it."""

    path: str
    data: bytes | Path

    @cached_property
    def size(self) -> int:
        """In bytes."""
        return len(self.data) if isinstance(self.data, bytes) else self.data.stat().st_size

    @cached_property
    def sha256(self) -> str:
        """In hexadecimal digits."""
        with self.open() as stream:
            digest = hashlib.sha256()
            while block := stream.read(1 << 20):
                digest.update(block)
        return digest.hexdigest()

    @cached_property
    def git_id(self) -> str:
        """Name of a blob in Git: SHA-1 of `blob SIZE`, a zero byte and the content."""
        with self.open() as stream:
            return hashlib.sha1(b"blob %d\0" % self.size + stream.read(), usedforsecurity=False).hexdigest()

    @property
    def is_large(self) -> bool:
        """Whether it lies on the content host."""
        return self.size >= LARGE_BYTES

    @property
    def etag(self) -> str:
        """What names its content: SHA-256 of a large file, Git's own name of a small one."""
        return self.sha256 if self.is_large else self.git_id

    def open(self) -> Any:
        """A binary stream of the content."""
        import io

        return io.BytesIO(self.data) if isinstance(self.data, bytes) else self.data.open("rb")


@dataclass
class Repo:
    """A model repository with one branch, `main`; older commits stay reachable by their names."""

    id: str
    files: dict[str, StoredFile] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    pipeline_tag: str = "text-generation"
    library_name: str | None = None
    downloads: int = 0
    likes: int = 0
    trending: int = 0
    last_modified: str = "2026-01-01T00:00:00.000Z"
    gated: Literal[False, "auto", "manual"] = False
    card: dict[str, Any] = field(default_factory=dict)
    gguf: dict[str, Any] | None = None
    readers: tuple[str, ...] = ()
    """Tokens that may read a gated repository."""
    history: dict[str, dict[str, StoredFile]] = field(default_factory=dict)
    named: dict[str, str] = field(default_factory=dict)
    """Tags, and the commits that they name."""

    @property
    def commit(self) -> str:
        """Name of the newest commit, made of its files."""
        names = "".join(f"{path}{file.etag}" for path, file in sorted(self.files.items()))
        return hashlib.sha1(names.encode(), usedforsecurity=False).hexdigest()

    def put(self, path: str, data: bytes | Path) -> StoredFile:
        """Commit a file; the commit before stays reachable."""
        if self.files:
            self.history[self.commit] = dict(self.files)
        self.files[path] = StoredFile(path, data)
        return self.files[path]

    def at(self, revision: str) -> tuple[str, dict[str, StoredFile]] | None:
        """Commit and files of a branch or commit; None where there is none such."""
        if revision in ("main", self.commit):
            return self.commit, self.files
        commit = self.named.get(revision, revision)
        if commit == self.commit:
            return commit, self.files
        files = self.history.get(commit)
        return None if files is None else (commit, files)

    def told(self, *, with_blobs: bool, files: dict[str, StoredFile], commit: str) -> dict[str, Any]:
        """What the hub's model info says."""
        return {
            "id": self.id,
            "modelId": self.id,
            "author": self.id.split("/")[0],
            "sha": commit,
            "lastModified": self.last_modified,
            "createdAt": self.last_modified,
            "private": False,
            "gated": self.gated,
            "disabled": False,
            "downloads": self.downloads,
            "likes": self.likes,
            "trendingScore": self.trending,
            "tags": list(self.tags),
            "pipeline_tag": self.pipeline_tag,
            "library_name": self.library_name,
            "cardData": self.card,
            "gguf": self.gguf,
            "usedStorage": sum(file.size for file in files.values()),
            "siblings": [_sibling(file, with_blobs) for file in files.values()],
        }


def _sibling(file: StoredFile, with_blobs: bool) -> dict[str, Any]:
    told: dict[str, Any] = {"rfilename": file.path}
    if with_blobs:
        told |= {"size": file.size, "blobId": file.git_id if not file.is_large else file.sha256[:40]}
        if file.is_large:
            told["lfs"] = {"size": file.size, "sha256": file.sha256, "pointerSize": 134}
    return told
