"""The database file: made once, shared by processes, and every fault of it in one sentence."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.store.database import Database

INSERT = "INSERT INTO jobs (job_id, kind, subject, goal, state, created_at) VALUES (?, 'bench', 'm', '', 'running', 0)"

OPENER = """
import sys
from pathlib import Path
from edgetui.store.database import Database

database = Database(Path(sys.argv[1]))
sys.stdin.readline()
for number in range(20):
    database.write(sys.argv[2], (f"{sys.argv[3]}-{number}",))
"""


def test_nothing_is_written_before_the_first_use(tmp_path: Path) -> None:
    Database(tmp_path / "state" / "edgetui.db").close()
    assert not (tmp_path / "state").exists()


def test_what_was_written_is_there_after_reopening(tmp_path: Path) -> None:
    first = Database(tmp_path / "edgetui.db")
    assert first.write(INSERT, ("a",)) == 1
    first.close()
    rows = Database(tmp_path / "edgetui.db").read("SELECT * FROM jobs")
    assert [row["job_id"] for row in rows] == ["a"]


def test_readers_do_not_wait_for_a_writer(tmp_path: Path) -> None:
    writer, reader = Database(tmp_path / "edgetui.db"), Database(tmp_path / "edgetui.db")
    with writer.transaction() as connection:
        connection.execute(INSERT, ("a",))
        assert reader.read("SELECT * FROM jobs") == []
    assert len(reader.read("SELECT * FROM jobs")) == 1


def test_a_failed_transaction_leaves_nothing(tmp_path: Path) -> None:
    database = Database(tmp_path / "edgetui.db")
    with pytest.raises(RuntimeError), database.transaction() as connection:
        connection.execute(INSERT, ("a",))
        raise RuntimeError
    assert database.read("SELECT * FROM jobs") == []
    database.write(INSERT, ("b",))


def test_processes_that_start_at_once_make_one_database(tmp_path: Path) -> None:
    path = tmp_path / "edgetui.db"
    starters = [
        subprocess.Popen([sys.executable, "-c", OPENER, str(path), INSERT, str(number)], stdin=subprocess.PIPE)
        for number in range(3)
    ]
    for starter in starters:
        assert starter.stdin is not None
        starter.stdin.write(b"\n")
        starter.stdin.close()
    assert [starter.wait(60) for starter in starters] == [0, 0, 0]
    assert len(Database(path).read("SELECT * FROM jobs")) == 60


def test_threads_share_one_database(tmp_path: Path) -> None:
    database = Database(tmp_path / "edgetui.db")
    threads = [threading.Thread(target=database.write, args=(INSERT, (str(number),))) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(database.read("SELECT * FROM jobs")) == 16


def test_an_older_database_keeps_its_rows_through_the_later_migrations(tmp_path: Path) -> None:
    path = tmp_path / "edgetui.db"
    script = Path(__file__).parents[2] / "edgetui/store/migrations/0001_jobs_and_provenance.sql"
    old = sqlite3.connect(path)
    old.executescript(script.read_text() + "PRAGMA user_version = 1;")
    old.execute(INSERT, ("old",))
    old.commit()
    old.close()
    assert [row["job_id"] for row in Database(path).read("SELECT job_id FROM jobs")] == ["old"]


def test_a_newer_database_is_left_alone_with_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "edgetui.db"
    newer = sqlite3.connect(path)
    newer.execute("PRAGMA user_version = 9000")
    newer.close()
    with pytest.raises(EdgetuiError, match=r"written by a newer edgetui \(its version 9000.*update edgetui") as caught:
        Database(path).read("SELECT 1")
    assert caught.value.failure.kind == "unsupported"


def test_a_damaged_database_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "edgetui.db"
    path.write_bytes(b"this is no database at all " * 100)
    with pytest.raises(EdgetuiError, match=r"edgetui\.db cannot be used .*move it away") as caught:
        Database(path).read("SELECT 1")
    assert caught.value.failure.kind == "bad_file"


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EdgetuiError, match=r"cannot be made .*writable") as caught:
        Database(tmp_path / "file" / "edgetui.db").read("SELECT 1")
    assert caught.value.failure.kind == "no_permission"


def test_a_file_that_cannot_be_opened_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "edgetui.db"
    path.mkdir()
    with pytest.raises(EdgetuiError, match=r"cannot be written .*writable") as caught:
        Database(path).write(INSERT, ("a",))
    assert caught.value.failure.kind == "no_permission"
    assert os.listdir(path) == []


def test_a_lock_held_too_long_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgetui.store.database.BUSY_TIMEOUT_S", 0.05)
    holder, other = Database(tmp_path / "edgetui.db"), Database(tmp_path / "edgetui.db")
    other.read("SELECT 1")
    with (
        holder.transaction(),
        pytest.raises(EdgetuiError, match="held by another program") as caught,
    ):
        other.write(INSERT, ("a",))
    assert caught.value.failure.kind == "busy"
