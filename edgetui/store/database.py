"""The SQLite file: opening, migrations, and every way it can fail told in one sentence.

Methods are short and synchronous; services call them through `asyncio.to_thread`.
"""

from __future__ import annotations

import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import NoReturn

from edgetui.core.failures import EdgetuiError

BUSY_TIMEOUT_S = 10.0
"""How long to wait for another process that writes."""

Value = str | int | float | bytes | None


_LEAST_FREE_BYTES = 1 << 20
"""Below that a disk is as good as full for a database."""


class Database:
    """One connection, opened on first use, shared by threads under a lock."""

    def __init__(self, path: Path) -> None:
        """Nothing is read or written before the first use, so that this is safe in an event loop."""
        self.path = path
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None

    def read(self, sql: str, values: Sequence[Value] = ()) -> list[sqlite3.Row]:
        """All rows of a query; a column is reached by name.

        Raises `EdgetuiError`, as every method here: `bad_file`, `no_permission`, `no_space`, `busy`, `unsupported`.
        """
        with self._lock, self._failures_in_words():
            return self._open().execute(sql, values).fetchall()

    def write(self, sql: str, values: Sequence[Value] = ()) -> int:
        """Run one statement in a transaction of its own; returns the number of rows it changed."""
        with self.transaction() as connection:
            return connection.execute(sql, values).rowcount

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Hold the write lock for a block; an exception takes everything in it back."""
        with self._lock, self._failures_in_words():
            connection = self._open()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            connection.execute("COMMIT")

    def close(self) -> None:
        """Close the file; a later use opens it again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise EdgetuiError(
                    "no_permission",
                    f"The folder {self.path.parent} for edgetui's database cannot be made ({error.strerror}):"
                    " make the folder above it writable.",
                ) from error
            connection = sqlite3.connect(
                self.path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
            try:
                connection.row_factory = sqlite3.Row
                connection.execute("PRAGMA foreign_keys = ON")
                _enter_wal_mode(connection)
                connection.execute("PRAGMA synchronous = NORMAL")
                self._migrate(connection)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def _migrate(self, connection: sqlite3.Connection) -> None:
        """Bring an older file up to date; the write lock makes two processes do it one after the other."""
        scripts = _migrations()
        if _version(connection) == len(scripts):
            return
        connection.execute("BEGIN IMMEDIATE")
        try:
            version = _version(connection)
            if version > len(scripts):
                raise EdgetuiError(
                    "unsupported",
                    f"The database {self.path} was written by a newer edgetui (its version {version}, this one knows"
                    f" {len(scripts)}): update edgetui.",
                )
            for number, script in enumerate(scripts[version:], start=version + 1):
                for statement in _statements(script):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {number}")
        except BaseException:
            connection.rollback()
            raise
        connection.execute("COMMIT")

    @contextmanager
    def _failures_in_words(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            self._raise_in_words(error)

    def _raise_in_words(self, error: sqlite3.DatabaseError) -> NoReturn:
        reason = str(error)
        if isinstance(error, sqlite3.IntegrityError | sqlite3.ProgrammingError):
            raise error
        if "locked" in reason or "busy" in reason:
            raise EdgetuiError(
                "busy", f"The database {self.path} is held by another program: close that program and try again."
            ) from error
        if "full" in reason or ("I/O" in reason and _disk_is_full(self.path)):
            raise EdgetuiError(
                "no_space", f"The disk of the database {self.path} is full: free some space and try again."
            ) from error
        if "readonly" in reason or "unable to open" in reason:
            raise EdgetuiError(
                "no_permission",
                f"The database {self.path} cannot be written ({reason}): make it and its folder writable.",
            ) from error
        if "I/O" in reason:
            raise EdgetuiError(
                "bad_file", f"The disk of the database {self.path} fails ({reason}): check the disk and try again."
            ) from error
        raise EdgetuiError(
            "bad_file",
            f"The database {self.path} cannot be used ({reason}): move it away, and edgetui starts a new one; the"
            " history of measurements and what models were made of stay in the old one.",
        ) from error


def _enter_wal_mode(connection: sqlite3.Connection) -> None:
    """Let readers and a writer work at once; a file system that cannot keeps SQLite's default.

    SQLite does not wait for the lock that this change of mode needs, so two processes that make the file at once
    would fail without waiting here.
    """
    give_up = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > give_up:
                raise
            time.sleep(0.02)


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _migrations() -> list[str]:
    """The scripts in order; number N brings a file from version N - 1 to N."""
    folder = files("edgetui.store").joinpath("migrations")
    scripts = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)
    return [file.read_text(encoding="utf-8") for file in scripts]


def _statements(script: str) -> Iterator[str]:
    """The statements of a script one by one: sqlite3's own way to run a script would end the transaction."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if statement.strip():
        raise sqlite3.OperationalError(f"incomplete statement in a migration: {statement.strip()[:80]}")


def _disk_is_full(path: Path) -> bool:
    """SQLite calls it an I/O error when its shared memory finds no room."""
    try:
        return shutil.disk_usage(path.parent).free < _LEAST_FREE_BYTES
    except OSError:
        return False
