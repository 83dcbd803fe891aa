"""The history of measured quality: every row that a job found."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from edgetui.core.quality import QualityRecord, QualityRow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetui.store.database import Database


class Evaluations:
    """Rows in the database; every method may raise `EdgetuiError` as the database does."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, row: QualityRow, job_id: str | None) -> None:
        """Keep a row; one that a resumed job tells again is kept once."""
        self._database.write(
            "INSERT OR REPLACE INTO evaluations (job_id, measured_at, model_name, model_fingerprint, model_path,"
            " text_sha256, quality_row) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                job_id,
                row.measured_at,
                row.model_name,
                row.model_fingerprint,
                row.model_path,
                row.text_sha256,
                msgspec.json.encode(row).decode(),
            ),
        )

    def records(self) -> list[QualityRecord]:
        """All rows, newest first; one that is damaged, or of a newer edgetui, is left out."""
        found = []
        for row in self._database.read("SELECT id, job_id, quality_row FROM evaluations ORDER BY id DESC"):
            with suppress(msgspec.DecodeError, UnicodeError):
                decoded = msgspec.json.decode(row["quality_row"], type=QualityRow)
                found.append(QualityRecord(record_id=row["id"], job_id=row["job_id"], row=decoded))
        return found

    def remove(self, record_ids: Sequence[int]) -> int:
        """Forget rows; returns how many there were."""
        with self._database.transaction() as connection:
            return sum(
                connection.execute("DELETE FROM evaluations WHERE id = ?", (record_id,)).rowcount
                for record_id in record_ids
            )
