"""The Hugging Face cache as its documentation lays it out: repositories, revisions, snapshots of links to blobs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_PREFIX = "models--"


@dataclass(frozen=True, slots=True)
class CachedRevision:
    """One snapshot of a model repository."""

    repo: str
    revision: str
    folder: Path

    def files(self, suffix: str) -> list[Path]:
        """Files of the snapshot whose blobs are there, in order of their names."""
        found = []
        for path in sorted(self.folder.rglob(f"*{suffix}")):
            # A link without its blob is a download that was broken off or pruned.
            if path.is_file():
                found.append(path)
        return found


def cache_folder(environ: Mapping[str, str] | None = None) -> Path:
    """Where huggingface_hub keeps its cache: HF_HUB_CACHE, else `hub` under HF_HOME, else the default."""
    environ = os.environ if environ is None else environ
    if named := environ.get("HF_HUB_CACHE") or environ.get("HUGGINGFACE_HUB_CACHE"):
        return Path(os.path.expanduser(named))
    if home := environ.get("HF_HOME"):
        return Path(os.path.expanduser(home)) / "hub"
    base = environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.path.expanduser(base)) / "huggingface" / "hub"


def repo_folder(cache: Path, repo: str) -> Path:
    """Where a model repository lies in a cache."""
    return cache / (_PREFIX + repo.replace("/", "--"))


def partial_blob(blob: Path) -> Path:
    """Where edgetui gathers a blob before it has its name; other programs take no notice of it."""
    return blob.with_name(f"{blob.name}.edgetui-partial")


def partial_blob_files(blob: Path) -> tuple[Path, Path]:
    """`partial_blob` and the mark beside it of how much of it is safe on disk."""
    partial = partial_blob(blob)
    return partial, partial.with_name(f"{partial.name}.safe")


def cached_revisions(folder: Path) -> Iterator[CachedRevision]:
    """Every snapshot of every model repository; raises `OSError` when the cache itself cannot be read."""
    if not folder.is_dir():
        return
    for repo in sorted(folder.iterdir()):
        snapshots = repo / "snapshots"
        if not repo.name.startswith(_PREFIX):
            continue
        try:
            revisions = [each for each in sorted(snapshots.iterdir()) if each.is_dir()] if snapshots.is_dir() else []
        except OSError:
            # One repository without permission must not hide the others.
            continue
        for revision in revisions:
            name = repo.name.removeprefix(_PREFIX).replace("--", "/")
            yield CachedRevision(name, revision.name, revision)
