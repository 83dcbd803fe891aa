"""The history of latencies of ONNX graphs: every row that a job measured."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from edgetui.core.onnx_latency import OnnxLatencyRecord, OnnxLatencyRow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetui.store.database import Database


class OnnxLatencies:
    """Rows in the database; every method may raise `EdgetuiError` as the database does."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, row: OnnxLatencyRow, job_id: str | None) -> None:
        """Keep a row."""
        self._database.write(
            "INSERT INTO onnx_latencies (job_id, measured_at, model_name, model_fingerprint, latency_row)"
            " VALUES (?, ?, ?, ?, ?)",
            (job_id, row.measured_at, row.model_name, row.model_fingerprint, msgspec.json.encode(row).decode()),
        )

    def records(self) -> list[OnnxLatencyRecord]:
        """All rows, newest first; one that is damaged, or of a newer edgetui, is left out."""
        found = []
        for row in self._database.read("SELECT id, job_id, latency_row FROM onnx_latencies ORDER BY id DESC"):
            with suppress(msgspec.DecodeError, UnicodeError):
                decoded = msgspec.json.decode(row["latency_row"], type=OnnxLatencyRow)
                found.append(OnnxLatencyRecord(record_id=row["id"], job_id=row["job_id"], row=decoded))
        return found

    def remove(self, record_ids: Sequence[int]) -> int:
        """Forget rows; returns how many there were."""
        with self._database.transaction() as connection:
            return sum(
                connection.execute("DELETE FROM onnx_latencies WHERE id = ?", (record_id,)).rowcount
                for record_id in record_ids
            )
