"""Calibrations on a real database file."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from edgetui.core.calibration import Calibration, Fingerprint
from edgetui.store.calibrations import Calibrations
from edgetui.store.database import Database
from tests.core.test_speed_forecast import PART

HERE = Fingerprint(processor="a", physical_cores="2", memory="1", engine="x 1", features="AVX2")
ELSEWHERE = msgspec.structs.replace(HERE, engine="x 2")


def made_at(at: float) -> Calibration:
    """A calibration with finite figures."""
    return Calibration(measured_at=at, duration_s=1.0, buffer_bytes=1, rounds=3, engine_version="1", threads=(PART,))


def test_the_one_that_holds_is_found_else_the_newest_with_its_own_fingerprint(tmp_path: Path) -> None:
    database = Database(tmp_path / "edgetui.db")
    store = Calibrations(database)
    assert store.newest(HERE) is None
    store.put(HERE, made_at(1.0))
    store.put(ELSEWHERE, made_at(2.0))
    assert store.newest(HERE) == (HERE, made_at(1.0))
    third = msgspec.structs.replace(HERE, processor="b")
    assert store.newest(third) == (ELSEWHERE, made_at(2.0))
    database.close()


def test_a_new_one_takes_the_place_of_the_old(tmp_path: Path) -> None:
    database = Database(tmp_path / "edgetui.db")
    store = Calibrations(database)
    store.put(HERE, made_at(1.0))
    store.put(HERE, made_at(5.0))
    assert store.newest(HERE) == (HERE, made_at(5.0))
    assert len(database.read("SELECT id FROM calibrations")) == 1
    database.close()


@pytest.mark.parametrize("damage", ["{}", "not json", '{"measured_at": 9}'])
def test_a_calibration_that_this_version_cannot_read_counts_as_none(tmp_path: Path, damage: str) -> None:
    database = Database(tmp_path / "edgetui.db")
    store = Calibrations(database)
    store.put(ELSEWHERE, made_at(1.0))
    store.put(HERE, made_at(2.0))
    database.write("UPDATE calibrations SET calibration = ? WHERE measured_at = 2.0", (damage,))
    assert store.newest(HERE) == (ELSEWHERE, made_at(1.0))
    database.write("UPDATE calibrations SET fingerprint = ?", (damage,))
    assert store.newest(HERE) is None
    database.close()
