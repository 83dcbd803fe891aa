"""One process of the toolchain for all of these tests, and the small models that they share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.toolchain_driver import Toolchain, started

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def toolchain(mlx_toolchain: Path) -> Iterator[Toolchain]:
    """The driver, in the toolchain's interpreter."""
    with started(mlx_toolchain, Path(__file__).with_name("driver.py")) as made:
        yield made


@pytest.fixture(scope="session")
def small(toolchain: Toolchain, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Safetensors of a Llama of two layers; not to be written to."""
    folder = tmp_path_factory.mktemp("small") / "small"
    toolchain("small_model", folder=folder)
    return folder


@pytest.fixture(scope="session")
def small_4bit(toolchain: Toolchain, small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, quantized by MLX to 4 bits in groups of 64; not to be written to."""
    folder = tmp_path_factory.mktemp("quantized") / "small-4bit"
    toolchain.make("mlx-quantize", small, folder)
    return folder


@pytest.fixture(scope="session")
def short_mlx(toolchain: Toolchain, demo_safetensors: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo model in BF16 with its first three layers, which mlx can afford on a processor."""
    folder = tmp_path_factory.mktemp("short") / "SmolLM2-short"
    toolchain("first_layers", source=demo_safetensors, folder=folder, layers=3)
    return folder
