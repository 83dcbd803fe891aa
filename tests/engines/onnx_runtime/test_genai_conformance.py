"""onnxruntime-genai keeps what every engine promises."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edgetui.worker.protocol import Load
from tests.engines.conformance import EngineConformance, Subject

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="class")
def subject(demo_onnx: Path, toolchains_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Subject:
    """The int4 build of the demo model."""
    return Subject(
        engine="onnxruntime-genai",
        load=lambda settings: Load(path=str(demo_onnx), settings=settings),
        log_dir=tmp_path_factory.mktemp("logs"),
        toolchains_dir=toolchains_dir,
        # Before the answer would end: an end mark gone past is written out by inspection and not by the answer.
        tokens=16,
        # This build goes on from fewer words with halves of characters.
        unicode_prompt="Emoji: 🎉, 🎉, 🎉, 🎉, 🎉,",
    )


class TestGenai(EngineConformance):
    """onnxruntime-genai with the demo model."""
