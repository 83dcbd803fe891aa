"""What a person wrote on models, kept by the models' content: it stays when a file is moved or renamed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from edgetui.core.models import ModelMarks

if TYPE_CHECKING:
    from edgetui.store.database import Database


class MarkedModels:
    """Rows in the database by `fingerprint`; every method may raise `EdgetuiError` as the database does."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> dict[str, ModelMarks]:
        """Everything that was written."""
        marks = {}
        for row in self._database.read("SELECT fingerprint, is_favourite, tags, note FROM model_marks"):
            marks[row["fingerprint"]] = ModelMarks(
                is_favourite=bool(row["is_favourite"]), tags=row["tags"], note=row["note"]
            )
        return marks

    def keep(self, fingerprint: str, marks: ModelMarks) -> None:
        """Write what is said of a content; nothing said is nothing kept."""
        if marks == ModelMarks():
            self._database.write("DELETE FROM model_marks WHERE fingerprint = ?", (fingerprint,))
            return
        values = msgspec.structs.astuple(marks)
        self._database.write(
            "INSERT OR REPLACE INTO model_marks (fingerprint, is_favourite, tags, note) VALUES (?, ?, ?, ?)",
            (fingerprint, *values),
        )
