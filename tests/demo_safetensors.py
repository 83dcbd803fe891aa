"""The demo model as a safetensors folder, for tests of what the toolchains make of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edgetui.core.workflows.conversion import ToSafetensors
from tests.workflow_results import made_by

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def demo_safetensors(demo_model: Path, gguf_toolchain: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the demo model's weights in BF16, made by the real workflow once a session; not to be written to."""
    return made_by(ToSafetensors(), demo_model, gguf_toolchain, tmp_path_factory.mktemp("demo-safetensors"))
