"""llama.cpp keeps what every engine promises."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edgetui.worker.protocol import Load
from tests.engines.conformance import EngineConformance, Subject

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="class")
def subject(demo_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Subject:
    """The demo model."""
    return Subject(
        engine="llama.cpp",
        load=lambda settings: Load(path=str(demo_model), settings=settings),
        log_dir=tmp_path_factory.mktemp("logs"),
    )


class TestLlamaCpp(EngineConformance):
    """llama.cpp with the demo model."""
