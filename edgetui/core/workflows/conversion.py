"""Between safetensors and GGUF."""

from __future__ import annotations

from typing import ClassVar, Literal

from edgetui.core.models import ModelFormat
from edgetui.core.workflows.base import Workflow


class ToGguf(Workflow, frozen=True, kw_only=True, tag="to-gguf"):
    """Settings of llama.cpp's own converter."""

    TOOLCHAIN: ClassVar[str] = "gguf"
    TITLE: ClassVar[str] = "safetensors to GGUF"
    PURPOSE: ClassVar[str] = "For llama.cpp: tokenizer and chat template come along; quantize the result."
    TAKES: ClassVar[tuple[ModelFormat, ...]] = ("safetensors",)
    MAKES: ClassVar[ModelFormat] = "gguf"
    MAKES_FILE: ClassVar[bool] = True
    FIELDS: ClassVar[dict[str, tuple[str, str]]] = {
        "out_type": ("Type", "auto: BF16 or F16, as the weights are; bf16, f16, f32 or q8_0"),
    }

    out_type: Literal["auto", "bf16", "f16", "f32", "q8_0"] = "auto"

    @property
    def suffix(self) -> str:
        """The type; which of the two it is, `auto` finds out from the weights."""
        return "16bit" if self.out_type == "auto" else self.type_name

    @property
    def type_name(self) -> str:
        """In llama.cpp's spelling."""
        return "BF16" if self.out_type == "auto" else self.out_type.upper()


class ToSafetensors(Workflow, frozen=True, kw_only=True, tag="to-safetensors"):
    """Settings of unpacking a GGUF file for the toolchains that start from safetensors."""

    TOOLCHAIN: ClassVar[str] = "gguf"
    TITLE: ClassVar[str] = "GGUF to safetensors"
    PURPOSE: ClassVar[str] = "A source for ONNX, Olive and MLX; what a quantized GGUF has lost stays lost."
    TAKES: ClassVar[tuple[ModelFormat, ...]] = ("gguf",)
    MAKES: ClassVar[ModelFormat] = "safetensors"
    FIELDS: ClassVar[dict[str, tuple[str, str]]] = {
        "dtype": ("Type", "bf16, f16 or f32"),
    }

    dtype: Literal["bf16", "f16", "f32"] = "bf16"

    @property
    def suffix(self) -> str:
        """The type."""
        return self.type_name

    @property
    def type_name(self) -> str:
        """In safetensors' spelling."""
        return self.dtype.upper()
