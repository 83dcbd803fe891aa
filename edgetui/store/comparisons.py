"""The history of prompts that several models or settings answered beside each other."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from edgetui.core.side_by_side import ComparedPrompt, ComparisonRecord

if TYPE_CHECKING:
    from sqlite3 import Row

    from edgetui.store.database import Database

_COLUMNS = "id, preferred, compared"


class Comparisons:
    """Rows in the database; every method may raise `EdgetuiError` as the database does."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, compared: ComparedPrompt) -> int:
        """Keep one; returns its number."""
        with self._database.transaction() as connection:
            cursor = connection.execute(
                "INSERT INTO comparisons (asked_at, prompt, compared) VALUES (?, ?, ?)",
                (compared.asked_at, compared.prompt, msgspec.json.encode(compared).decode()),
            )
            assert cursor.lastrowid is not None
            return cursor.lastrowid

    def prefer(self, record_id: int, column: int | None) -> bool:
        """Note which column the person liked best, None for none; says whether there is such a record."""
        return bool(self._database.write("UPDATE comparisons SET preferred = ? WHERE id = ?", (column, record_id)))

    def records(self, limit: int = 1000) -> list[ComparisonRecord]:
        """The newest first; one that is damaged, or of a newer edgetui, is left out."""
        rows = self._database.read(f"SELECT {_COLUMNS} FROM comparisons ORDER BY id DESC LIMIT ?", (limit,))
        return [record for row in rows if (record := _record(row)) is not None]

    def record(self, record_id: int) -> ComparisonRecord | None:
        """One of them, None where there is none or it is damaged."""
        rows = self._database.read(f"SELECT {_COLUMNS} FROM comparisons WHERE id = ?", (record_id,))
        return _record(rows[0]) if rows else None

    def remove(self, record_id: int) -> bool:
        """Forget one; says whether there was one."""
        return bool(self._database.write("DELETE FROM comparisons WHERE id = ?", (record_id,)))


def _record(row: Row) -> ComparisonRecord | None:
    with suppress(msgspec.DecodeError, UnicodeError):
        compared = msgspec.json.decode(row["compared"], type=ComparedPrompt)
        return ComparisonRecord(record_id=row["id"], compared=compared, preferred=row["preferred"])
    return None
