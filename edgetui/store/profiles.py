"""Profiles in the database, by model, machine and name."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from edgetui.core.profiles import Profile

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from edgetui.store.database import Database


class SavedProfiles:
    """Every method may raise `EdgetuiError` as the database does; profiles that cannot be read are left out."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, model: str, machine: str) -> list[Profile]:
        """Those of a model on a machine, the last used first."""
        rows = self._database.read(
            "SELECT profile FROM profiles WHERE model = ? AND machine = ? ORDER BY used_at DESC, name",
            (model, machine),
        )
        return _readable(rows)

    def all(self, machine: str) -> list[Profile]:
        """Those of every model on a machine, by the model's name, the last used first."""
        rows = self._database.read(
            "SELECT profile FROM profiles WHERE machine = ? ORDER BY used_at DESC, name", (machine,)
        )
        return sorted(_readable(rows), key=lambda profile: profile.model_name.lower())

    def put(self, model: str, machine: str, profile: Profile, used_at: float) -> None:
        """Save it, in place of one with the same name."""
        self._database.write(
            "INSERT OR REPLACE INTO profiles (model, machine, name, used_at, profile) VALUES (?, ?, ?, ?, ?)",
            (model, machine, profile.name, used_at, msgspec.json.encode(profile).decode()),
        )

    def use(self, model: str, machine: str, name: str, used_at: float) -> None:
        """Have it be the last used."""
        self._database.write(
            "UPDATE profiles SET used_at = ? WHERE model = ? AND machine = ? AND name = ?",
            (used_at, model, machine, name),
        )

    def delete(self, model: str, machine: str, name: str) -> bool:
        """Forget it; says whether there was one."""
        return (
            self._database.write(
                "DELETE FROM profiles WHERE model = ? AND machine = ? AND name = ?", (model, machine, name)
            )
            > 0
        )

    def rename(self, model: str, machine: str, name: str, profile: Profile) -> None:
        """Put a profile, under whatever name it has now, where `name` stood; one that cannot be read gives way."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE OR REPLACE profiles SET name = ?, profile = ? WHERE model = ? AND machine = ? AND name = ?",
                (profile.name, msgspec.json.encode(profile).decode(), model, machine, name),
            )


def _readable(rows: Sequence[sqlite3.Row]) -> list[Profile]:
    """All but those that are damaged, of a newer edgetui, or outside of limits that were set since."""
    found = []
    for row in rows:
        with suppress(msgspec.DecodeError, UnicodeError):
            found.append(msgspec.json.decode(row["profile"], type=Profile))
    return found
