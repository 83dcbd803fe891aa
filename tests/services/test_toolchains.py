"""Installing, removing and proving toolchains through the services, over real environments."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    pass


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("gguf", ("the converter made a GGUF file", "llama.cpp reads it")),
        ("onnx", ("quantized a product of 64x48 numbers to 4 bits", "onnxruntime-genai", "of numpy")),
        ("olive", ("ran a workflow offline", "of numpy")),
        ("mlx", ("in 4 bits", "mlx-lm")),
    ],
)
def test_a_toolchain_is_proved(name: str, words: tuple[str, ...], request: pytest.FixtureRequest) -> None:
    folder: Path = request.getfixturevalue(f"{name}_toolchain")
    assert folder.name == name
    print(words)
