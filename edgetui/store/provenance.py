"""What a model file was made from, found again by its path, size and time of change."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from edgetui.store.database import Database


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Where a file came from."""

    parent_name: str
    """Name of the model that it was made from."""
    parent_path: str
    type_name: str
    """Quantization type that it was made in."""
    recovered_from: str | None = None
    """Narrowest known quantization type that its weights passed through before, if any."""
    recipe: str
    """What was done, in words that a person can repeat."""
    created: float
    """Unix time in seconds."""


class Provenance:
    """Origins in the database; a file that was changed since has none."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def origin_of(self, path: Path) -> Origin | None:
        """Where this very file came from, None when that is not known or the file is gone."""
        try:
            status = path.stat()
        except OSError:
            return None
        rows = self._database.read(
            "SELECT parent_name, parent_path, type_name, recovered_from, recipe, created FROM provenance"
            " WHERE path = ? AND size_bytes = ? AND mtime_ns = ?",
            (path_key(path), status.st_size, status.st_mtime_ns),
        )
        return Origin(**dict(rows[0])) if rows else None

    def all(self) -> dict[str, dict[tuple[int, int], Origin]]:
        """Every origin, by `path_key` and by the size and time of change that its file had."""
        found: dict[str, dict[tuple[int, int], Origin]] = {}
        for row in self._database.read(
            "SELECT path, size_bytes, mtime_ns, parent_name, parent_path, type_name, recovered_from, recipe, created"
            " FROM provenance"
        ):
            path, size, mtime, *told = row
            names = ("parent_name", "parent_path", "type_name", "recovered_from", "recipe", "created")
            found.setdefault(path, {})[size, mtime] = Origin(**dict(zip(names, told, strict=True)))
        return found

    def record(self, path: Path, origin: Origin, *, still_at: Path | None = None) -> None:
        """Remember where a finished file came from; what was known of that path before is forgotten.

        `still_at` is where the file is until it takes its name.
        """
        status = (still_at or path).stat()
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM provenance WHERE path = ?", (path_key(path),))
            connection.execute(
                "INSERT INTO provenance (path, size_bytes, mtime_ns, parent_name, parent_path, type_name,"
                " recovered_from, recipe, created) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    path_key(path),
                    status.st_size,
                    status.st_mtime_ns,
                    origin.parent_name,
                    origin.parent_path,
                    origin.type_name,
                    origin.recovered_from,
                    origin.recipe,
                    origin.created,
                ),
            )

    def forget(self, path: Path) -> None:
        """Nothing is known any more of where the file at this path came from."""
        self._database.write("DELETE FROM provenance WHERE path = ?", (path_key(path),))


def path_key(path: Path) -> str:
    """One spelling for a file, however it was reached."""
    # SQLite takes text only, and a name need not be any: what is no UTF-8 is written as escapes.
    return os.fsencode(os.path.realpath(path)).decode("utf-8", "backslashreplace")
