"""One process of the toolchain for all of these tests, and the models that they share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.toolchain_driver import Toolchain, started

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def toolchain(onnx_toolchain: Path) -> Iterator[Toolchain]:
    """The driver, in the toolchain's interpreter."""
    with started(onnx_toolchain, Path(__file__).with_name("driver.py")) as made:
        yield made


@pytest.fixture(scope="session")
def small(toolchain: Toolchain, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with `bert/model.onnx`, a classifier, and `llama`, the safetensors of a decoder."""
    folder = tmp_path_factory.mktemp("small")
    toolchain("small_models", folder=folder)
    return folder


@pytest.fixture(scope="session")
def classifier(small: Path) -> Path:
    """The graph of a small classifier, its tokenizer beside it."""
    return small / "bert" / "model.onnx"


@pytest.fixture(scope="session")
def decoder(toolchain: Toolchain, small: Path) -> Path:
    """The graph of a small decoder in fp32."""
    toolchain.make("onnx-build", small / "llama" / "model.safetensors", small / "fp32", precision="fp32")
    return small / "fp32" / "model.onnx"
