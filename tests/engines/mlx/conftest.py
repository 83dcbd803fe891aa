"""One process of the toolchain for all of these tests, and the small models that they share."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.worker.spawn import toolchain_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[3]


class Toolchain:
    """Has the driver do things; raises the `EdgetuiError` that it met."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def __call__(self, do: str, **order: Any) -> Any:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, **order}, default=str) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        if "kind" in answer:
            assert answer["kind"] != "bug", answer["message"]
            raise EdgetuiError(answer["kind"], answer["message"], answer["detail"])
        return answer["answer"]

    def make(self, workflow: str, source: Path, target: Path, **settings: Any) -> list[tuple[float, float | None, str]]:
        """Make a model by a workflow; gives what the job told."""
        notes: list[tuple[float, float | None, str]] = self(
            "make", source=source, target=target, settings={"workflow": workflow, **settings}
        )
        return notes

    def refusal(self, workflow: str, source: Path, target: Path, **settings: Any) -> tuple[str, str]:
        """Kind and sentence with which a workflow refuses."""
        with pytest.raises(EdgetuiError) as caught:
            self.make(workflow, source, target, **settings)
        return caught.value.failure.kind, str(caught.value)


@pytest.fixture(scope="session")
def toolchain(mlx_toolchain: Path) -> Iterator[Toolchain]:
    """The driver, in the toolchain's interpreter."""
    process = subprocess.Popen(
        [str(mlx_toolchain / "bin" / "python"), str(Path(__file__).with_name("driver.py")), str(ROOT)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=toolchain_environment(),
    )
    yield Toolchain(process)
    assert process.stdin is not None
    process.stdin.close()
    process.wait(30)


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
