"""Where a file came from is known for this very file only."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from edgetui.store.database import Database
from edgetui.store.provenance import Origin, Provenance

ORIGIN = Origin(
    parent_name="parent.F16",
    parent_path="/models/parent.F16.gguf",
    type_name="Q4_K_M",
    recovered_from="Q4_1",
    recipe="llama.cpp quantization of parent.F16.gguf to Q4_K_M",
    created=1.5,
)


def test_an_origin_is_found_again_however_the_file_is_reached(tmp_path: Path) -> None:
    made = tmp_path / "made.gguf"
    made.write_bytes(b"weights")
    Provenance(Database(tmp_path / "db")).record(made, ORIGIN)
    link = tmp_path / "link.gguf"
    link.symlink_to(made)
    provenance = Provenance(Database(tmp_path / "db"))
    assert provenance.origin_of(made) == provenance.origin_of(link) == ORIGIN


def test_a_file_that_was_changed_since_has_no_origin(tmp_path: Path) -> None:
    made = tmp_path / "made.gguf"
    made.write_bytes(b"weights")
    provenance = Provenance(Database(tmp_path / "db"))
    provenance.record(made, ORIGIN)
    os.utime(made, ns=(0, made.stat().st_mtime_ns + 1))
    assert provenance.origin_of(made) is None
    made.unlink()
    assert provenance.origin_of(made) is None


def test_a_file_made_again_has_its_latest_origin(tmp_path: Path) -> None:
    made = tmp_path / "made.gguf"
    made.write_bytes(b"weights")
    provenance = Provenance(Database(tmp_path / "db"))
    provenance.record(made, ORIGIN)
    again = msgspec.structs.replace(ORIGIN, recovered_from=None)
    provenance.record(made, again)
    assert provenance.origin_of(made) == again
