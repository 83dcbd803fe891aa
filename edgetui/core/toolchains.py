"""The toolchains: what each is for, and which engine needs which."""

from __future__ import annotations

from edgetui.core.models import ModelFormat

ENGINE_TOOLCHAIN: dict[ModelFormat, str] = {"gguf": "", "safetensors": "gguf", "onnx": "onnx", "mlx": "mlx"}
"""Environment whose engine runs a format; empty for edgetui's own."""
