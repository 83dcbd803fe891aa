"""What soaks, A/B comparisons, autotunes and load times found."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from edgetui.core.bench import Machine
from edgetui.core.studies import Study, StudyResult

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetui.store.database import Database


class Studies:
    """Results in the database; every method may raise `EdgetuiError` as the database does."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, result: StudyResult, machine: Machine, job_id: str | None, measured_at: float) -> int:
        """Keep a result; returns its number."""
        values = (
            job_id,
            measured_at,
            str(result.__struct_config__.tag),
            msgspec.json.encode(result).decode(),
            msgspec.json.encode(machine).decode(),
        )
        with self._database.transaction() as connection:
            added = connection.execute(
                "INSERT INTO bench_studies (job_id, measured_at, kind, result, machine) VALUES (?, ?, ?, ?, ?)", values
            )
            assert added.lastrowid is not None
            return added.lastrowid

    def replace(self, study_id: int, result: StudyResult, measured_at: float) -> bool:
        """Put what more was measured in the place of a result; False where it was removed meanwhile."""
        values = (measured_at, msgspec.json.encode(result).decode(), study_id)
        return self._database.write("UPDATE bench_studies SET measured_at = ?, result = ? WHERE id = ?", values) > 0

    def all(self) -> list[Study]:
        """Every result, newest first; one that is damaged, or of a newer edgetui, is left out."""
        found = []
        for row in self._database.read(
            "SELECT id, job_id, measured_at, result, machine FROM bench_studies ORDER BY id DESC"
        ):
            with suppress(msgspec.DecodeError, UnicodeError):
                found.append(
                    Study(
                        study_id=row["id"],
                        job_id=row["job_id"],
                        measured_at=row["measured_at"],
                        machine=msgspec.json.decode(row["machine"], type=Machine),
                        result=msgspec.json.decode(row["result"], type=StudyResult),
                    )
                )
        return found

    def remove(self, study_ids: Sequence[int]) -> int:
        """Forget results; returns how many there were."""
        with self._database.transaction() as connection:
            return sum(
                connection.execute("DELETE FROM bench_studies WHERE id = ?", (study_id,)).rowcount
                for study_id in study_ids
            )
