"""The real model and a coarser build of it, each loaded once for all tests of quality."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edgetui.engines.llama_cpp import quantize
from edgetui.engines.llama_cpp.logits import LlamaLogits, open_logits
from edgetui.engines.quality.rows import Rows
from edgetui.worker.texts import topics

CONTEXT_TOKENS = 96


@pytest.fixture(scope="session")
def coarse_model(demo_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The demo in a type that loses more."""
    path = tmp_path_factory.mktemp("coarse") / "coarse.gguf"
    quantize.quantize(demo_model, path, "Q3_K_S", allow_requantize=True)
    yield path
    path.unlink()


@pytest.fixture(scope="session")
def demo_source(demo_model: Path) -> Iterator[LlamaLogits]:
    source = open_logits(demo_model, context_tokens=CONTEXT_TOKENS, threads=1)
    yield source
    source.close()


@pytest.fixture(scope="session")
def coarse_source(coarse_model: Path) -> Iterator[LlamaLogits]:
    source = open_logits(coarse_model, context_tokens=CONTEXT_TOKENS, threads=1)
    yield source
    source.close()


@pytest.fixture(scope="session")
def text() -> str:
    return topics()


@pytest.fixture
def rows() -> Iterator[Rows]:
    made = Rows("the model", 1)
    yield made
    made.close()
