"""What is said of a model wherever one is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgetui.core.models import ModelEntry, ModelFormat

FORMAT_TITLES: dict[ModelFormat, str] = {
    "gguf": "GGUF",
    "safetensors": "safetensors",
    "onnx": "ONNX",
    "mlx": "MLX",
    "server": "server",
}


def why_no_chat(entry: ModelEntry) -> str:
    """Why a chat with a model cannot begin, and what can be done with it, in one sentence."""
    if entry.format == "safetensors":
        return f"{entry.name} is a safetensors model, a source for others: q makes GGUF, ONNX or MLX of it to run."
    return (
        f"{entry.name} is an ONNX graph without genai_config.json, by which onnxruntime-genai feeds a decoder: build"
        " one with onnx-build; l measures its latency."
    )
