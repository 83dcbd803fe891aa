"""The engines that run models live: which runs what, and what each can do beyond generating."""

from __future__ import annotations

from typing import Literal

from edgetui.core.models import ModelFormat

EngineName = Literal["llama.cpp", "onnxruntime-genai", "mlx", "server"]

ENGINE_OF: dict[ModelFormat, EngineName] = {
    "gguf": "llama.cpp",
    "onnx": "onnxruntime-genai",
    "mlx": "mlx",
    "server": "server",
}
"""Format to the engine that chats with it; safetensors are a source of other formats."""

ENGINE_ENVIRONMENT: dict[EngineName, str] = {"llama.cpp": "", "onnxruntime-genai": "onnx", "mlx": "mlx", "server": ""}
"""Toolchain in whose environment an engine runs; empty for edgetui's own."""

Ability = Literal["tokenize", "inspect", "embed", "grammar", "adapters", "speculation", "prompt_cache"]
"""What only some engines do; `Loaded.abilities` tells which of them the loaded model has."""
