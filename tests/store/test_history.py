"""The history of measurements on a real database file."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from edgetui.core.bench import Machine
from edgetui.store.database import Database
from edgetui.store.history import History
from tests.services.test_bench import record

MACHINE = Machine(cpu="a processor", physical_cores=2, memory_bytes=1024, system="an OS", architecture="x86_64")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """An empty one."""
    made = Database(tmp_path / "edgetui.db")
    yield made
    made.close()


def test_a_row_comes_back_whole_with_its_machine_and_job(database: Database) -> None:
    row = record("a", [500, 505, 495]).row
    History(database).add(row, MACHINE, "job-1")
    (kept,) = History(database).records()
    assert (kept.row, kept.machine, kept.job_id) == (row, MACHINE, "job-1")


def test_the_newest_row_comes_first_and_every_row_has_an_id_of_its_own(database: Database) -> None:
    history = History(database)
    for name in ("a", "b", "c"):
        history.add(record(name, [500]).row, MACHINE, None)
    kept = history.records()
    assert [each.row.model_name for each in kept] == ["c", "b", "a"]
    assert len({each.record_id for each in kept}) == 3


def test_an_id_is_never_given_again(database: Database) -> None:
    history = History(database)
    history.add(record("a", [500]).row, MACHINE, None)
    first = history.records()[0].record_id
    assert history.remove([first]) == 1
    history.add(record("b", [500]).row, MACHINE, None)
    assert history.records()[0].record_id > first


def test_removing_counts_only_what_was_there(database: Database) -> None:
    history = History(database)
    history.add(record("a", [500]).row, MACHINE, None)
    assert history.remove([history.records()[0].record_id, 12345]) == 1
    assert history.records() == [] and history.remove([]) == 0


def test_rows_of_another_process_are_seen(database: Database) -> None:
    other = Database(database.path)
    History(other).add(record("a", [500]).row, MACHINE, None)
    other.close()
    assert [each.row.model_name for each in History(database).records()] == ["a"]


def test_a_row_kept_before_rows_told_their_backend_is_still_read(database: Database) -> None:
    old = msgspec.to_builtins(record("a", [500, 505]).row)
    del old["backend"]
    database.write(
        "INSERT INTO measurements (measured_at, model_name, test, bench_row, machine)"
        " VALUES (0, 'a', 'tg100', ?, '{}')",
        (msgspec.json.encode(old).decode(),),
    )
    (kept,) = History(database).records()
    assert kept.row.backend == "" and kept.row.samples_ns == (500_000_000, 505_000_000)


def test_rows_that_another_connection_adds_takes_back_or_replaces_change_the_mark(database: Database) -> None:
    history, other = History(database), Database(database.path)
    marks = [history.mark()]
    History(other).add(record("a", [500]).row, MACHINE, None)
    marks.append(history.mark())
    (kept,) = history.records()
    History(other).add_all([(record("a", [500, 505]).row, MACHINE)], replaced=[kept.record_id])
    marks.append(history.mark())
    History(other).remove([history.records()[0].record_id])
    marks.append(history.mark())
    other.close()
    assert all(before != after for before, after in itertools.pairwise(marks)) and history.mark() == marks[-1]
