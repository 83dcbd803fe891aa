"""Measured errors of tensors, kept by the content of the parent and of what was made of it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from edgetui.core.tensor_errors import TensorError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edgetui.store.database import Database


class TensorErrors:
    """Rows in the database; every method may raise `EdgetuiError` as the database does."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, parent: str, made_by: str, errors: Iterable[TensorError]) -> None:
        """Keep errors in place of those of the same tensors and types."""
        with self._database.transaction() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO tensor_errors (parent, made_by, tensor, type_name, tensor_error)"
                " VALUES (?, ?, ?, ?, ?)",
                [
                    (parent, made_by, error.tensor, error.type_name, msgspec.json.encode(error).decode())
                    for error in errors
                ],
            )

    def of(self, parent: str, made_by: str, tensor: str | None = None) -> list[TensorError]:
        """What is known, of one tensor or all; what another version wrote otherwise counts as unknown."""
        rows = self._database.read(
            "SELECT tensor_error FROM tensor_errors WHERE parent = ? AND made_by = ? AND (? IS NULL OR tensor = ?)",
            (parent, made_by, tensor, tensor),
        )
        known = []
        for row in rows:
            with suppress(msgspec.DecodeError):
                known.append(msgspec.json.decode(row["tensor_error"], type=TensorError))
        return known
