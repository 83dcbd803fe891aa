"""Profiles in the database, by model, machine and name."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from edgetui.core.failures import EdgetuiError
from edgetui.core.profiles import Profile

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from edgetui.store.database import Database


class UnreadableProfile(NamedTuple):
    """A profile that is kept, and that this edgetui cannot read."""

    name: str
    used_at: float
    reason: str
    """In msgspec's words."""


class SavedProfiles:
    """Every method may raise `EdgetuiError` as the database does; `unreadable` names what the others leave out."""

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

    def unreadable(self, machine: str, model: str | None = None) -> list[UnreadableProfile]:
        """Those that are damaged, of a newer edgetui, or outside of limits that were set since; the last used first."""
        rows = self._database.read(
            "SELECT name, model, used_at, profile FROM profiles WHERE machine = ? ORDER BY used_at DESC, name",
            (machine,),
        )
        found = []
        for row in rows:
            if model is None or row["model"] == model:
                try:
                    _decoded(row)
                except (msgspec.DecodeError, UnicodeError) as error:
                    found.append(UnreadableProfile(row["name"], row["used_at"], str(error)))
        return found

    def last_used_at(self, model: str, machine: str, name: str) -> float:
        """Unix time of the last use of one; 0 where there is none."""
        rows = self._database.read(
            "SELECT used_at FROM profiles WHERE model = ? AND machine = ? AND name = ?", (model, machine, name)
        )
        return float(rows[0]["used_at"]) if rows else 0.0

    def put(self, model: str, machine: str, profile: Profile, used_at: float) -> None:
        """Save it, in place of one with the same name; raises `exists` where that cannot be read."""
        self._require_readable(model, machine, profile.name)
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
        """Put a profile, under whatever name it has now, where `name` stood; raises `exists` as `put` does."""
        self._require_readable(model, machine, profile.name)
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE profiles SET name = ?, profile = ? WHERE model = ? AND machine = ? AND name = ?",
                (profile.name, msgspec.json.encode(profile).decode(), model, machine, name),
            )

    def _require_readable(self, model: str, machine: str, name: str) -> None:
        """What cannot be read here may be of use to another edgetui: nothing is written over it."""
        if any(each.name == name for each in self.unreadable(machine, model)):
            raise EdgetuiError(
                "exists",
                f"A profile {name!r} that cannot be read here is kept already: take another name, or delete it with"
                " `edgetui profile delete`.",
            )


def _readable(rows: Sequence[sqlite3.Row]) -> list[Profile]:
    """All but those that `unreadable` names."""
    found = []
    for row in rows:
        with suppress(msgspec.DecodeError, UnicodeError):
            found.append(_decoded(row))
    return found


def _decoded(row: sqlite3.Row) -> Profile:
    """With every setting within held against its limits; raises `msgspec.DecodeError` and `UnicodeError`."""
    return msgspec.json.decode(row["profile"], type=Profile)
