"""A machine with a meter whose figure is known, for jobs that measure beside it."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from tests.recorded_machine import unfold

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WATTS = 10.0


@pytest.fixture
def ten_watts(tmp_path: Path) -> Iterator[Path]:
    """A machine whose platform counter counts ten joules each second."""
    root = unfold("intel-hybrid-laptop", tmp_path / "machine")
    (root / "recorded/denied").unlink()
    counter = root / "sys/class/powercap/intel-rapl:1/energy_uj"
    fresh = counter.with_name("fresh")
    ended = threading.Event()
    began = time.perf_counter()

    def count() -> None:
        while not ended.wait(0.02):
            fresh.write_text(f"{round((time.perf_counter() - began) * WATTS * 1e6)}\n")
            fresh.replace(counter)

    thread = threading.Thread(target=count)
    counter.write_text("0\n")
    thread.start()
    yield root
    ended.set()
    thread.join()
