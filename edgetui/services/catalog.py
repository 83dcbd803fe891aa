"""Every model on this machine: the embedded one, the models folders, the hub cache; headers only, never loaded."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edgetui.core.failures import EdgetuiError
from edgetui.core.ggml import UNQUANTIZED
from edgetui.core.models import ModelDetails, ModelEntry, ModelMarks
from edgetui.formats.gguf import check_loadable
from edgetui.services.model_places import Places, changed_since, folder_models, look_around
from edgetui.services.model_rows import bare_row, read_details, read_entry, read_row, with_unique_names
from edgetui.services.signals import Signal
from edgetui.store.model_index import FileMark, HeaderFacts, ModelIndex
from edgetui.store.model_marks import MarkedModels
from edgetui.store.provenance import Provenance, path_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edgetui.config import Paths, Settings
    from edgetui.services.model_places import Candidate
    from edgetui.store.database import Database
    from edgetui.store.provenance import Origin

_FIRST_ROWS_S, _MORE_ROWS_S = 0.2, 2.0
"""When many headers must be read, rows without them are shown so soon, and so often after that."""
_UNSETTLED_S = 120.0
"""A file that changed so recently may still be on its way."""


class Catalog:
    """Lists and finds models; a file's header is read again only when the file changed."""

    def __init__(self, settings: Settings, paths: Paths, database: Database) -> None:
        self._settings = settings
        self._paths = paths
        self._origins = Provenance(database)
        self._index = ModelIndex(database)
        self._marked = MarkedModels(database)
        self._known: dict[tuple[str, str], tuple[FileMark, HeaderFacts]] | None = None
        self._places = Places()
        self._unsettled: dict[Path, FileMark] = {}
        # Of threads: a scan that nobody waits for any more goes on to its end.
        self._scanning = threading.Lock()
        self.changed: Signal[tuple[ModelEntry, ...]] = Signal()
        """Published with the new rows when a scan found others than the one before, and while it reads many."""
        self.entries: tuple[ModelEntry, ...] = ()
        """Rows of the last scan."""
        self.folder_problems: tuple[str, ...] = ()
        """Folders that the last scan could not read, one sentence each."""

    async def scan(self) -> list[ModelEntry]:
        """Look everywhere; a damaged file is a row with a `problem`, an unreadable folder a `folder_problems`."""
        loop = asyncio.get_running_loop()

        def show(entries: list[ModelEntry]) -> None:
            # The app may be closing meanwhile.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._take, entries)

        def look() -> list[ModelEntry]:
            with self._scanning:
                entries = self._scan(show)
                # Not by whoever waits for it: that may be given up, and no later look would find a change.
                show(entries)
                return entries

        entries = await asyncio.to_thread(look)
        self._take(entries)
        return entries

    async def scan_if_changed(self) -> None:
        """Scan when something came, went or grew since the last scan; a look at the folders, no more, when not."""
        if not self._scanning.locked() and await asyncio.to_thread(self._has_changed):
            await self.scan()

    async def find(self, name_or_path: str) -> ModelEntry:
        """The model of that name, of a name that begins so or has it in it, or in the file or folder at that path.

        Raises `EdgetuiError("not_found")`, naming the closest, or what is wrong with what is at the path.
        """
        if name_or_path.lower().endswith(".gguf"):
            return await asyncio.to_thread(self._entry_at, name_or_path)
        entries = await self.scan()
        if name_or_path.startswith(("/", "~", ".")) or name_or_path.lower().endswith((".onnx", ".safetensors")):
            return await asyncio.to_thread(_folder_entry_at, name_or_path, entries)
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
        return await asyncio.to_thread(read_details, entry)

    async def mark(self, entry: ModelEntry, marks: ModelMarks) -> None:
        """Keep what a person wrote on a model; raises `EdgetuiError`, also for one that cannot be read."""
        if not entry.fingerprint:
            raise EdgetuiError("bad_file", f"{entry.name} cannot be read, so nothing can be written on it.")
        await asyncio.to_thread(self._marked.keep, entry.fingerprint, marks)
        self._take(
            [
                msgspec.structs.replace(each, marks=marks) if each.fingerprint == entry.fingerprint else each
                for each in self.entries
            ]
        )

    # --- how ----------------------------------------------------------------------------------------------

    def _take(self, entries: list[ModelEntry]) -> None:
        if tuple(entries) != self.entries:
            self.entries = tuple(entries)
            self.changed.publish(self.entries)

    def _scan(self, show: Callable[[list[ModelEntry]], object]) -> list[ModelEntry]:
        places = look_around(self._settings, self._paths)
        if self._known is None:
            self._known = {}
            with _noting(places):
                self._known = self._index.all()
        marks = {candidate.parts: _mark_of(candidate.parts) for candidate in places.candidates}
        rows: list[ModelEntry] = []
        unread: list[int] = []
        for candidate in places.candidates:
            mark = marks[candidate.parts]
            row = bare_row(candidate, mark.size_bytes)
            known = self._known.get(_key_of(candidate))
            if known is not None and known[0] == mark and _are_there(known[1].more_parts):
                row = _with_facts(row, known[1])
            else:
                unread.append(len(rows))
                row = msgspec.structs.replace(row, is_read=False)
            rows.append(row)
        finish = self._finisher(places)
        new: dict[tuple[str, str], tuple[FileMark, HeaderFacts]] = {}
        show_at = time.monotonic() + _FIRST_ROWS_S
        for place in unread:
            if time.monotonic() > show_at:
                show(finish(rows))
                show_at = time.monotonic() + _MORE_ROWS_S
                self._keep(new)
                new = {}
            candidate = places.candidates[place]
            mark = marks[candidate.parts]
            rows[place] = row = read_row(candidate, mark.size_bytes or _there_bytes(candidate.parts))
            if row.problem is None:
                new[_key_of(candidate)] = mark, _facts_of(row, candidate)
        self._keep(new)
        self._forget_gone(places)
        self._unsettled = {
            part: _mark_of((part,))
            for row, candidate in zip(rows, places.candidates, strict=True)
            for part in candidate.parts
            if row.problem is not None or marks[candidate.parts].mtime_ns > (time.time() - _UNSETTLED_S) * 1e9
        }
        self._places = places
        self.folder_problems = tuple(places.problems)
        return finish(rows)

    def _finisher(self, places: Places) -> Callable[[list[ModelEntry]], list[ModelEntry]]:
        """What is known of files from elsewhere than their headers, as one look into the database has it."""
        origins: dict[str, dict[tuple[int, int], Origin]] = {}
        marked: dict[str, ModelMarks] = {}
        with _noting(places):
            origins, marked = self._origins.all(), self._marked.all()

        def finish(rows: list[ModelEntry]) -> list[ModelEntry]:
            finished = []
            for row in rows:
                changes: dict[str, object] = {}
                made = row.folder or row.path
                if row.source == "folder" and origins and (key := path_key(made)) in origins:
                    mark = _mark_of((made,))
                    origin = origins[key].get((mark.size_bytes, mark.mtime_ns))
                    if origin is not None:
                        changes["parent"], changes["recipe"] = origin.parent_name, origin.recipe
                        changes["recovered_from"] = origin.recovered_from if _is_plain(row) else None
                if row.fingerprint in marked:
                    changes["marks"] = marked[row.fingerprint]
                finished.append(msgspec.structs.replace(row, **changes) if changes else row)
            return with_unique_names(finished)

        return finish

    def _keep(self, new: dict[tuple[str, str], tuple[FileMark, HeaderFacts]]) -> None:
        assert self._known is not None
        self._known |= new
        # Without it the headers are read again, which is slow and no harm.
        with suppress(EdgetuiError):
            self._index.keep(new)

    def _forget_gone(self, places: Places) -> None:
        """Drop what is known of files that are no more; a folder that is away for now keeps its rows."""
        assert self._known is not None
        gone = self._known.keys() - {_key_of(candidate) for candidate in places.candidates}
        gone = {key for key in gone if not os.path.lexists(key[0]) and os.path.isdir(os.path.dirname(key[0]))}
        if gone:
            for key in gone:
                del self._known[key]
            with suppress(EdgetuiError):
                self._index.forget(gone)

    def _has_changed(self) -> bool:
        return changed_since(self._places.folders) or any(
            _mark_of((path,)) != mark for path, mark in self._unsettled.items()
        )

    def _entry_at(self, named: str) -> ModelEntry:
        """A row for a file named by its path; unlike a scan, a bad file is an error here."""
        path = Path(os.path.expanduser(named)).absolute()
        entry = read_entry(path, "folder", _mark_of((path,)).size_bytes)
        if entry.problem is not None:
            check_loadable(path)
            raise EdgetuiError("bad_file", entry.problem)
        return entry


def _folder_entry_at(named: str, entries: list[ModelEntry]) -> ModelEntry:
    """A row for a folder, or for a file of one, named by its path; a bad one is an error."""
    path = Path(os.path.expanduser(named)).absolute()
    for entry in entries:
        if path in (entry.folder, entry.path):
            return entry
    folder = path if path.is_dir() else path.parent
    try:
        found = folder_models(folder, os.listdir(folder), "folder", is_container=path != folder)
    except OSError as error:
        raise EdgetuiError("not_found", f"{path} cannot be looked into ({error.strerror}).") from error
    chosen = next((each for each in found if path in (each.folder, *each.parts)), None)
    if chosen is None:
        raise EdgetuiError(
            "not_found",
            f"There is no model at {path}: name a folder with config.json and .safetensors files, or an .onnx file.",
        )
    entry = read_row(chosen, _there_bytes(chosen.parts))
    if entry.problem is not None:
        raise EdgetuiError("bad_file", entry.problem)
    return entry


def _key_of(candidate: Candidate) -> tuple[str, str]:
    # SQLite takes text only, and a name need not be any.
    return os.fsencode(candidate.parts[0]).decode("utf-8", "backslashreplace"), candidate.source


def _mark_of(parts: tuple[Path, ...]) -> FileMark:
    """Zeros where a part is missing, which no sound file has."""
    size = newest = 0
    try:
        for part in parts:
            status = os.stat(part)
            size += status.st_size
            newest = max(newest, status.st_mtime_ns)
    except OSError:
        return FileMark(0, 0)
    return FileMark(size, newest)


def _there_bytes(parts: tuple[Path, ...]) -> int:
    return sum(_mark_of((part,)).size_bytes for part in parts)


@contextmanager
def _noting(places: Places) -> Iterator[None]:
    """Without the database models are listed all the same, with what is wrong said once."""
    try:
        yield
    except EdgetuiError as error:
        if str(error) not in places.problems:
            places.problems.append(str(error))


def _is_plain(row: ModelEntry) -> bool:
    """Whether its weights are plain floating-point numbers."""
    return row.quant_type in UNQUANTIZED or (row.format == "onnx" and (row.quant_type or "").startswith(("fp", "bf")))


def _are_there(paths: tuple[str, ...]) -> bool:
    return all(os.path.exists(path) for path in paths)


def _facts_of(row: ModelEntry, candidate: Candidate) -> HeaderFacts:
    of_row = {name: getattr(row, name) for name in HeaderFacts.__struct_fields__ if name != "more_parts"}
    more = () if candidate.format == "gguf" else tuple(str(p) for p in row.parts if p not in candidate.parts)
    return HeaderFacts(**of_row, more_parts=more)


def _with_facts(row: ModelEntry, facts: HeaderFacts) -> ModelEntry:
    told = msgspec.structs.asdict(facts)
    more = tuple(Path(part) for part in told.pop("more_parts"))
    return msgspec.structs.replace(
        row, parts=(*row.parts, *more), size_bytes=row.size_bytes + _there_bytes(more), **told
    )


def _nothing_found(wanted: str, names: list[str]) -> str:
    if not names:
        return f"There is no model {wanted!r}, nor any other, on this machine: put a GGUF file into the models folder."
    import difflib

    lower = {name.lower(): name for name in names}
    close = [lower[name] for name in difflib.get_close_matches(wanted.lower(), list(lower), n=3, cutoff=0.3)]
    advice = f"the closest are {', '.join(close)}" if close else f"there are {', '.join(names[:5])}"
    return f"There is no model {wanted!r} on this machine; {advice} (edgetui models lists all)."
