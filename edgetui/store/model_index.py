"""What the headers of model files say, kept so that thousands of them are listed without opening one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from edgetui.store.database import Database

READER = 2
"""Raised when rows come to be read in another way: older ones are read anew."""


class FileMark(msgspec.Struct, frozen=True):
    """By which a change of a model's files shows."""

    size_bytes: int
    """All files together."""
    mtime_ns: int
    """Of the file that changed last."""


class HeaderFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a sound model's header says."""

    architecture: str | None = None
    parameter_count: int | None = None
    quant_type: str | None = None
    context_length: int | None = None
    fingerprint: str = ""
    more_parts: tuple[str, ...] = ()
    """Paths of files that only the header names."""


class ModelIndex:
    """Rows in the database by the path of a model's first file and where it was found."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> dict[tuple[str, str], tuple[FileMark, HeaderFacts]]:
        """Everything that is known."""
        decode = msgspec.json.Decoder(HeaderFacts).decode
        known = {}
        for row in self._database.read(
            "SELECT path, source, size_bytes, mtime_ns, model_row FROM model_rows WHERE reader = ?", (READER,)
        ):
            try:
                facts = decode(row["model_row"])
            except msgspec.DecodeError:
                continue
            known[row["path"], row["source"]] = FileMark(row["size_bytes"], row["mtime_ns"]), facts
        return known

    def keep(self, rows: Mapping[tuple[str, str], tuple[FileMark, HeaderFacts]]) -> None:
        """Remember rows, in place of older ones."""
        if not rows:
            return
        encode = msgspec.json.Encoder().encode
        with self._database.transaction() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO model_rows (path, source, reader, size_bytes, mtime_ns, model_row)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                [
                    (path, source, READER, mark.size_bytes, mark.mtime_ns, encode(facts))
                    for (path, source), (mark, facts) in rows.items()
                ],
            )

    def forget(self, keys: Iterable[tuple[str, str]]) -> None:
        """Drop rows of files that are gone."""
        with self._database.transaction() as connection:
            connection.executemany("DELETE FROM model_rows WHERE path = ? AND source = ?", list(keys))
