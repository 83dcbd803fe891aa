"""What sweeps found: a row a build, in the database."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from edgetui.core.frontier import FrontierRow

if TYPE_CHECKING:
    from edgetui.store.database import Database


class FrontierRows:
    """Rows in the database; every method may raise `EdgetuiError` as the database does."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, row: FrontierRow) -> None:
        """Keep a row, in place of an earlier one of the same cell."""
        self._database.write(
            "INSERT OR REPLACE INTO frontier_rows (sweep_id, cell_id, source_name, measured_at, frontier_row)"
            " VALUES (?, ?, ?, ?, ?)",
            (row.sweep_id, row.cell_id, row.source_name, row.measured_at, msgspec.json.encode(row).decode()),
        )

    def rows(self) -> list[FrontierRow]:
        """All rows, the newest sweep first, each in the order of its cells; a damaged one hides nothing else."""
        found = []
        for row in self._database.read("SELECT frontier_row FROM frontier_rows ORDER BY sweep_id DESC, cell_id"):
            with suppress(msgspec.DecodeError):
                found.append(msgspec.json.decode(row["frontier_row"], type=FrontierRow))
        return found

    def of_sweep(self, sweep_id: str) -> dict[str, FrontierRow]:
        """Rows of one sweep by their cells."""
        return {row.cell_id: row for row in self.rows() if row.sweep_id == sweep_id}

    def remove(self, sweep_id: str) -> int:
        """Forget a sweep's rows; returns how many there were."""
        return self._database.write("DELETE FROM frontier_rows WHERE sweep_id = ?", (sweep_id,))
