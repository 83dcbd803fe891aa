"""The demo model as each toolchain makes it, by the real workflows once a session; not to be written to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edgetui.core.workflows.conversion import ToSafetensors
from edgetui.core.workflows.mlx import MlxQuantize
from edgetui.core.workflows.onnx import OnnxBuild
from tests.workflow_results import made_by

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def demo_safetensors(demo_model: Path, gguf_toolchain: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with its weights in BF16."""
    return made_by(ToSafetensors(), demo_model, gguf_toolchain, tmp_path_factory.mktemp("demo-safetensors"))


@pytest.fixture(scope="session")
def demo_onnx(demo_safetensors: Path, onnx_toolchain: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Graph of the decoder in int4."""
    home = tmp_path_factory.mktemp("demo-onnx")
    return made_by(OnnxBuild(), demo_safetensors, onnx_toolchain, home) / "model.onnx"


@pytest.fixture(scope="session")
def demo_mlx(demo_safetensors: Path, mlx_toolchain: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder in 4 bits and groups of 64."""
    return made_by(MlxQuantize(), demo_safetensors, mlx_toolchain, tmp_path_factory.mktemp("demo-mlx"))
