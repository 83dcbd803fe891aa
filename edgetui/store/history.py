"""The history of measurements: every benchmark row with the machine it was measured on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from edgetui.core.bench import BenchRecord, BenchRow, Machine

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from edgetui.store.database import Database

_INSERT = (
    "INSERT INTO measurements (job_id, measured_at, model_name, test, bench_row, machine) VALUES (?, ?, ?, ?, ?, ?)"
)


class History:
    """Rows in the database; every method may raise `EdgetuiError` as the database does."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, row: BenchRow, machine: Machine, job_id: str | None) -> None:
        """Keep a row."""
        self._database.write(_INSERT, (job_id, *_values(row, machine)))

    def add_all(self, rows: Iterable[tuple[BenchRow, Machine]], replaced: Sequence[int] = ()) -> None:
        """Keep rows of another program, all or none, and forget those that they take the place of."""
        with self._database.transaction() as connection:
            _delete(connection, replaced)
            connection.executemany(_INSERT, [(None, *_values(row, machine)) for row, machine in rows])

    def records(self) -> list[BenchRecord]:
        """All rows, the last measured first."""
        rows = self._database.read(
            "SELECT id, job_id, bench_row, machine FROM measurements ORDER BY measured_at DESC, id DESC"
        )
        return [
            BenchRecord(
                record_id=row["id"],
                job_id=row["job_id"],
                row=msgspec.json.decode(row["bench_row"], type=BenchRow),
                machine=msgspec.json.decode(row["machine"], type=Machine),
            )
            for row in rows
        ]

    def mark(self) -> tuple[int, int]:
        """Another one than before where any process added or removed rows; far cheaper than reading them."""
        # A row never changes, and no number comes twice.
        (row,) = self._database.read("SELECT ifnull(max(id), 0), count(*) FROM measurements")
        return row[0], row[1]

    def remove(self, record_ids: Sequence[int]) -> int:
        """Forget rows; returns how many there were."""
        with self._database.transaction() as connection:
            return _delete(connection, record_ids)


def _values(row: BenchRow, machine: Machine) -> tuple[float, str, str, str, str]:
    said, where = msgspec.json.encode(row).decode(), msgspec.json.encode(machine).decode()
    return row.measured_at, row.model_name, row.name, said, where


def _delete(connection: sqlite3.Connection, record_ids: Sequence[int]) -> int:
    return sum(
        connection.execute("DELETE FROM measurements WHERE id = ?", (record_id,)).rowcount for record_id in record_ids
    )
