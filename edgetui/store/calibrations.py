"""Calibrations of this machine, each with the machine and engine build that it holds for."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from edgetui.core.calibration import Calibration, Fingerprint

if TYPE_CHECKING:
    from edgetui.store.database import Database


class Calibrations:
    """Rows in the database; every method may raise `EdgetuiError` as the database does."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, fingerprint: Fingerprint, calibration: Calibration) -> None:
        """Keep a calibration in place of the one for the same machine and build."""
        key = msgspec.json.encode(fingerprint).decode()
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM calibrations WHERE fingerprint = ?", (key,))
            connection.execute(
                "INSERT INTO calibrations (measured_at, fingerprint, calibration) VALUES (?, ?, ?)",
                (calibration.measured_at, key, msgspec.json.encode(calibration).decode()),
            )

    def any(self) -> bool:
        """Whether there is one at all."""
        return bool(self._database.read("SELECT 1 FROM calibrations LIMIT 1"))

    def newest(self, fingerprint: Fingerprint) -> tuple[Fingerprint, Calibration] | None:
        """The one that holds for this fingerprint, else the newest of all; None when there is none.

        What another version wrote otherwise, or what is damaged, counts as none.
        """
        rows = self._database.read("SELECT fingerprint, calibration FROM calibrations ORDER BY measured_at DESC")
        known = []
        for row in rows:
            with suppress(msgspec.DecodeError):
                of = msgspec.json.decode(row["fingerprint"], type=Fingerprint)
                known.append((of, msgspec.json.decode(row["calibration"], type=Calibration)))
        return next((entry for entry in known if entry[0] == fingerprint), known[0] if known else None)
