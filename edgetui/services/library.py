"""Keeping the models of this machine in order: checked against their hashes, deleted with a preview, pruned."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edgetui.core.failures import EdgetuiError
from edgetui.core.units import format_bytes
from edgetui.formats.hub_cache import repo_folder
from edgetui.formats.model_folder import is_weights, others_in, remove_empty
from edgetui.formats.onnx import read_onnx

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edgetui.config import Paths
    from edgetui.core.models import ModelEntry

_BLOCK_BYTES = 1024 * 1024
_HASH_CHARACTERS = 64


class Verified(msgspec.Struct, frozen=True):
    """One file's hash, and whether it is the one that the hub promised."""

    path: Path
    sha256: str
    promised: str
    """Empty where nobody told what it should be."""

    @property
    def is_right(self) -> bool | None:
        """None where nothing is promised."""
        return self.sha256 == self.promised if self.promised else None


class Removal(msgspec.Struct, frozen=True, kw_only=True):
    """What deleting would take away; nothing is deleted yet."""

    what: str
    """In words."""
    paths: tuple[Path, ...]
    """Files that would go, by the names that models are listed under."""
    freed_bytes: int
    repo: str = ""
    """Of the hub's cache, with the revisions that go; empty for files in a folder."""
    revisions: tuple[str, ...] = ()
    folder: Path | None = None
    """Goes too, since all of it belongs to the model."""


class Duplicates(msgspec.Struct, frozen=True):
    """The same content more than once."""

    entries: tuple[ModelEntry, ...]
    wasted_bytes: int
    """What the disks would have free again with one of them alone; links to one file cost nothing."""


class Library:
    """Over the models folder and the hub's cache; what belongs to other programs is left to them."""

    def __init__(self, paths: Paths, cache: Callable[[], Path]) -> None:
        self._paths = paths
        self._cache = cache

    async def verify(self, entry: ModelEntry, on_bytes: Callable[[int], None] = lambda count: None) -> list[Verified]:
        """Hash every file of a model; `on_bytes` gets how many were read. Raises `EdgetuiError("bad_file")`."""
        return await asyncio.to_thread(lambda: [_hashed(path, on_bytes) for path in entry.parts])

    async def removal(self, entry: ModelEntry) -> Removal:
        """What deleting a model would mean; raises `EdgetuiError("no_permission")` where it is not ours to delete."""
        if entry.source == "hub" and entry.repo and entry.revision:
            return await asyncio.to_thread(self._of_revision, entry.repo, entry.revision)
        if entry.source == "folder" and self._paths.models_dir in entry.path.parents:
            return await asyncio.to_thread(_of_files, entry)
        owner = {"embedded": "the demo model's package", "folder": "a folder that edgetui only reads"}.get(
            entry.source, entry.source
        )
        raise EdgetuiError("no_permission", f"{entry.name} belongs to {owner}: delete it there.")

    async def duplicates(
        self, entries: Sequence[ModelEntry], on_bytes: Callable[[int], None] = lambda count: None
    ) -> list[Duplicates]:
        """Models of the very same content in several places, what costs most first.

        Only those with the same fingerprint are hashed; `on_bytes` gets how many bytes of each file were read.
        """
        return await asyncio.to_thread(_duplicates, entries, on_bytes)

    def reveal(self, path: Path) -> bool:
        """Show a file in the desktop's file manager; False where there is none, as over SSH."""
        command = _file_manager(path)
        if command is None:
            return False
        null = subprocess.DEVNULL
        try:
            subprocess.Popen(command, stdin=null, stdout=null, stderr=null, start_new_session=True)
        except OSError:
            return False
        return True

    async def unreferenced(self) -> list[Removal]:
        """Revisions in the hub's cache that no branch or tag stands for any more, one a repository."""
        return await asyncio.to_thread(self._unreferenced)

    async def remove(self, removal: Removal) -> int:
        """Delete what a preview named; returns the bytes freed. Raises `EdgetuiError("no_permission")`."""
        return await asyncio.to_thread(self._remove, removal)

    # --- how ----------------------------------------------------------------------------------------------

    def _of_revision(self, repo: str, revision: str) -> Removal:
        from huggingface_hub import scan_cache_dir

        info = scan_cache_dir(self._cache())
        found = next(
            (
                each
                for cached in info.repos
                if cached.repo_id == repo and cached.repo_type == "model"
                for each in cached.revisions
                if each.commit_hash == revision
            ),
            None,
        )
        if found is None:
            raise EdgetuiError("not_found", f"{repo} is not in the cache {self._cache()} any more: rescan.")
        _refuse_unfinished(self._cache(), repo)
        freed = info.delete_revisions(revision).expected_freed_size
        names = sorted(file.file_name for file in found.files)
        return Removal(
            what=f"revision {revision[:7]} of {repo} with {', '.join(names)}",
            paths=tuple(file.file_path for file in found.files),
            freed_bytes=freed,
            repo=repo,
            revisions=(revision,),
        )

    def _unreferenced(self) -> list[Removal]:
        from huggingface_hub import scan_cache_dir
        from huggingface_hub.errors import CacheNotFound

        try:
            info = scan_cache_dir(self._cache())
        except CacheNotFound:
            return []
        found = []
        for cached in sorted(info.repos, key=lambda each: each.repo_id):
            loose = sorted(each.commit_hash for each in cached.revisions if not each.refs)
            # A repository without any reference was fetched by its commits alone: nothing of it is superseded.
            if cached.repo_type == "model" and loose and len(loose) < len(cached.revisions):
                found.append(
                    Removal(
                        what=f"{len(loose)} superseded revision{'' if len(loose) == 1 else 's'} of {cached.repo_id}",
                        paths=tuple(
                            file.file_path
                            for each in cached.revisions
                            if each.commit_hash in loose
                            for file in each.files
                        ),
                        freed_bytes=info.delete_revisions(*loose).expected_freed_size,
                        repo=cached.repo_id,
                        revisions=tuple(loose),
                    )
                )
        return found

    def _remove(self, removal: Removal) -> int:
        try:
            if removal.repo:
                from huggingface_hub import scan_cache_dir

                _refuse_unfinished(self._cache(), removal.repo)
                strategy = scan_cache_dir(self._cache()).delete_revisions(*removal.revisions)
                strategy.execute()
                return int(strategy.expected_freed_size)
            for path in removal.paths:
                os.unlink(path)
            if removal.folder is not None:
                remove_empty(removal.folder)
        except OSError as error:
            raise EdgetuiError(
                "no_permission", f"{error.filename} cannot be deleted ({error.strerror}): check its permissions."
            ) from error
        return removal.freed_bytes


def _of_files(entry: ModelEntry) -> Removal:
    """Of a model in a folder of ours; what another model in the same folder may need stays."""
    if entry.folder is not None and entry.folder.is_symlink():
        what = f"the link {entry.folder.name}; the folder that it leads to stays"
        return Removal(what=what, paths=(entry.folder,), freed_bytes=0)
    parts = [path for path in entry.parts if os.path.lexists(path)]
    if entry.path not in parts:
        raise EdgetuiError("not_found", f"{entry.name} is not there any more: rescan.")
    others = others_in(entry.folder, parts) if entry.folder else _other_graphs(entry)
    if any(is_weights(path) for path in others):
        needed = {data for path in others for data in _external_data(path)}
        parts = [path for path in parts if is_weights(path) and path not in needed]
    size = sum(path.lstat().st_size for path in parts)
    what = f"{entry.name}, {format_bytes(size)}"
    if len(parts) > 1:
        what = f"{entry.name}, {len(parts)} files, {format_bytes(size)}"
    if entry.folder is None:
        return Removal(what=what, paths=tuple(parts), freed_bytes=size)
    if not others:
        what = f"the folder {entry.folder.name} with all {len(parts)} files, {format_bytes(size)}"
        return Removal(what=what, paths=tuple(parts), freed_bytes=size, folder=entry.folder)
    stays = ", ".join(path.name for path in others[:3]) + (" and more" if len(others) > 3 else "")
    what += f"; the folder stays, since {stays} {'is' if len(others) == 1 else 'are'} in it too"
    return Removal(what=what, paths=tuple(parts), freed_bytes=size)


def _other_graphs(entry: ModelEntry) -> list[Path]:
    """Graphs beside a lone one, which may share its weights."""
    if entry.format != "onnx":
        return []
    return [path for path in sorted(entry.path.parent.glob("*.onnx")) if path not in entry.parts]


def _external_data(path: Path) -> list[Path]:
    if path.suffix.lower() != ".onnx":
        return []
    try:
        return [path.parent / location for location in read_onnx(path).external_files]
    except EdgetuiError:
        return []


def _refuse_unfinished(cache: Path, repo: str) -> None:
    """The cache's own deletion takes the whole folder of a repository with its last revision."""
    unfinished = sorted((repo_folder(cache, repo) / "blobs").glob("*.edgetui-partial"))
    if unfinished:
        raise EdgetuiError(
            "busy",
            f"A download from {repo} is unfinished ({format_bytes(unfinished[0].stat().st_size)} are here): let it end,"
            " or cancel it on Jobs, then delete.",
        )


def _file_manager(path: Path) -> list[str] | None:
    if sys.platform == "darwin":
        return ["open", "-R", str(path)]
    if sys.platform == "win32":
        return ["explorer", f"/select,{path}"]
    program = shutil.which("xdg-open")
    if program is None or not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return None
    return [program, str(path.parent)]


def _duplicates(entries: Sequence[ModelEntry], on_bytes: Callable[[int], None]) -> list[Duplicates]:
    alike: dict[str, list[ModelEntry]] = {}
    for entry in entries:
        if entry.fingerprint:
            alike.setdefault(entry.fingerprint, []).append(entry)
    found = []
    for group in alike.values():
        same: dict[tuple[str, ...], list[ModelEntry]] = {}
        for entry in group if len(group) > 1 else ():
            try:
                same.setdefault(tuple(_hashed(path, on_bytes).sha256 for path in entry.parts), []).append(entry)
            except EdgetuiError:
                # Gone or unreadable by now.
                continue
        found += [Duplicates(tuple(each), wasted_bytes(each)) for each in same.values() if len(each) > 1]
    return sorted(found, key=lambda each: -each.wasted_bytes)


def wasted_bytes(entries: Sequence[ModelEntry]) -> int:
    """What several models of one content take on the disks beyond one of them."""
    files: dict[tuple[int, int], int] = {}
    for entry in entries:
        for path in entry.parts:
            with suppress(OSError):
                status = path.stat()
                files[status.st_dev, status.st_ino] = status.st_size
    return max(0, sum(files.values()) - entries[0].size_bytes)


def _hashed(path: Path, on_bytes: Callable[[int], None]) -> Verified:
    digest, done = hashlib.sha256(), 0
    try:
        with path.open("rb") as stream:
            while block := stream.read(_BLOCK_BYTES):
                digest.update(block)
                done += len(block)
                on_bytes(done)
    except OSError as error:
        raise EdgetuiError("bad_file", f"{path.name} cannot be read to its end ({error.strerror}).") from error
    # In the hub's cache, and in Ollama's, a large file's blob is called by its hash.
    blob = path.resolve().name.removeprefix("sha256-")
    is_hash = len(blob) == _HASH_CHARACTERS and all(char in "0123456789abcdef" for char in blob)
    return Verified(path, digest.hexdigest(), blob if is_hash else "")
