"""Apple MLX's: conversion, quantization, its learned kinds, dequantization and fusing, all by mlx-lm itself."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from edgetui.core.models import ModelFormat
from edgetui.core.workflows.base import Workflow

Bits = Literal[2, 3, 4, 5, 6, 8]
GroupSize = Literal[32, 64, 128]
"""Weights of a row that share a scale and a bias, as mlx's kernels take them."""
Dtype = Literal["auto", "bf16", "f16", "f32"]

_DTYPE = ("Type", "of what stays unquantized: bf16, f16, f32; auto: as the source has it")
_BITS = ("Bits", "of a weight: 2, 3, 4, 5, 6 or 8")
_GROUP = ("Group size", "weights that share a scale: 32, 64 or 128; rows must divide into it")
_SLOW = "slow off Apple silicon: start with few samples there"
_DATA = ("Calibration data", "topics (Python's documentation) or the path of a UTF-8 text")
_SAMPLES = ("Samples", f"pieces of the text, spread over all of it; {_SLOW}")
_TOKENS = ("Tokens", "of each sample")
Data = Annotated[str, Meta(min_length=1, max_length=4096)]
Samples = Annotated[int, Meta(ge=1, le=4096)]
Tokens = Annotated[int, Meta(ge=8, le=8192)]


class MlxQuantize(Workflow, frozen=True, kw_only=True, tag="mlx-quantize"):
    """Settings of mlx-lm's `quantize_model`."""

    TOOLCHAIN: ClassVar[str] = "mlx"
    TITLE: ClassVar[str] = "MLX, quantized"
    PURPOSE: ClassVar[str] = "For Macs with Apple silicon, where it is the fast path; made in seconds anywhere."
    TAKES: ClassVar[tuple[ModelFormat, ...]] = ("safetensors",)
    MAKES: ClassVar[ModelFormat] = "mlx"
    FIELDS: ClassVar[dict[str, tuple[str, str]]] = {
        "bits": _BITS,
        "group_size": _GROUP,
        "mode": ("Mode", "affine, or a 4 or 8-bit float with its own bits and groups: mxfp4, mxfp8, nvfp4"),
        "recipe": ("Mixed recipe", "more bits where it matters, in place of one number: none, mixed_2_6 to mixed_4_6"),
        "dtype": _DTYPE,
    }

    bits: Bits = 4
    group_size: GroupSize = 64
    mode: Literal["affine", "mxfp4", "mxfp8", "nvfp4"] = "affine"
    recipe: Literal["none", "mixed_2_6", "mixed_3_4", "mixed_3_6", "mixed_4_6"] = "none"
    dtype: Dtype = "auto"

    @property
    def suffix(self) -> str:
        """Bits or recipe, and the group size where it is not the usual one."""
        group = f"-g{self.group_size}" if self.group_size != 64 and self.mode == "affine" else ""
        return f"mlx-{self.type_name.replace('_', '-')}{group}"

    @property
    def type_name(self) -> str:
        """Such as `4bit`, `mixed_3_4`, `mxfp4`."""
        if self.mode != "affine":
            return self.mode
        return f"{self.bits}bit" if self.recipe == "none" else self.recipe


class MlxConvert(Workflow, frozen=True, kw_only=True, tag="mlx-convert"):
    """Settings of mlx-lm's conversion without quantization."""

    TOOLCHAIN: ClassVar[str] = "mlx"
    TITLE: ClassVar[str] = "MLX, unquantized"
    PURPOSE: ClassVar[str] = "The parent to compare MLX's quantizations with, and what adapters are trained on."
    TAKES: ClassVar[tuple[ModelFormat, ...]] = ("safetensors",)
    MAKES: ClassVar[ModelFormat] = "mlx"
    FIELDS: ClassVar[dict[str, tuple[str, str]]] = {"dtype": ("Type", "bf16, f16, f32; auto: as the source has it")}

    dtype: Dtype = "auto"

    @property
    def suffix(self) -> str:
        """The type, where one is asked for."""
        return "mlx" if self.dtype == "auto" else f"mlx-{self.dtype}"

    @property
    def type_name(self) -> str:
        """In safetensors' spelling; what the source has is in the files."""
        return "" if self.dtype == "auto" else self.dtype.upper()


class MlxDequantize(Workflow, frozen=True, kw_only=True, tag="mlx-dequantize"):
    """Settings of mlx-lm's `dequantize_model`."""

    TOOLCHAIN: ClassVar[str] = "mlx"
    TITLE: ClassVar[str] = "MLX, dequantized"
    PURPOSE: ClassVar[str] = "For tools that cannot read MLX's packed weights; what quantizing lost stays lost."
    TAKES: ClassVar[tuple[ModelFormat, ...]] = ("mlx",)
    MAKES: ClassVar[ModelFormat] = "mlx"
    FIELDS: ClassVar[dict[str, tuple[str, str]]] = {"dtype": ("Type", "bf16, f16, f32; auto: as the scales have it")}

    dtype: Dtype = "auto"

    @property
    def suffix(self) -> str:
        """What was done."""
        return "dequantized" if self.dtype == "auto" else f"dequantized-{self.dtype}"

    @property
    def type_name(self) -> str:
        """In safetensors' spelling."""
        return "" if self.dtype == "auto" else self.dtype.upper()

    @property
    def is_experiment(self) -> bool:
        """It is wide, and no better than its source."""
        return True


class MlxFuse(Workflow, frozen=True, kw_only=True, tag="mlx-fuse"):
    """Settings of mlx-lm's fusing of an adapter."""

    TOOLCHAIN: ClassVar[str] = "mlx"
    TITLE: ClassVar[str] = "MLX, adapter fused"
    PURPOSE: ClassVar[str] = "One model of a base and what mlx_lm.lora trained on it: no adapter to load, none to lose."
    TAKES: ClassVar[tuple[ModelFormat, ...]] = ("mlx", "safetensors")
    MAKES: ClassVar[ModelFormat] = "mlx"
    FIELDS: ClassVar[dict[str, tuple[str, str]]] = {
        "adapter": ("Adapter", "folder with adapters.safetensors and adapter_config.json"),
        "dequantize": ("Dequantize", "true: a quantized base becomes unquantized, and loses nothing by fusing"),
    }

    adapter: Annotated[str, Meta(max_length=4096)] = ""
    dequantize: bool = False

    @property
    def suffix(self) -> str:
        """What was done."""
        return "fused-dequantized" if self.dequantize else "fused"

    @property
    def type_name(self) -> str:
        """The base's, which the files tell."""
        return ""


class MlxDynamic(Workflow, frozen=True, kw_only=True, tag="mlx-dynamic"):
    """Settings of mlx-lm's dynamic quantization: layers that matter more get more bits."""

    TOOLCHAIN: ClassVar[str] = "mlx"
    TITLE: ClassVar[str] = "MLX, dynamic bits"
    PURPOSE: ClassVar[str] = "The best of two widths: each layer's sensitivity is measured over a text of yours."
    TAKES: ClassVar[tuple[ModelFormat, ...]] = ("safetensors",)
    MAKES: ClassVar[ModelFormat] = "mlx"
    FIELDS: ClassVar[dict[str, tuple[str, str]]] = {
        "target_bpw": ("Bits per weight", "what all layers together may take, scales included"),
        "low_bits": ("Low bits", "of layers that matter less: 2, 3, 4, 5 or 6"),
        "high_bits": ("High bits", "of layers that matter more: up to 8"),
        "group_size": _GROUP,
        "data": _DATA,
        "samples": _SAMPLES,
        "tokens": _TOKENS,
    }

    target_bpw: Annotated[float, Meta(ge=2.0, le=9.0)] = 5.0
    low_bits: Literal[2, 3, 4, 5, 6] = 4
    high_bits: Literal[3, 4, 5, 6, 8] = 6
    group_size: GroupSize = 64
    data: Data = "topics"
    samples: Samples = 4
    tokens: Tokens = 64

    @property
    def suffix(self) -> str:
        """The target."""
        return f"mlx-{self.type_name}"

    @property
    def type_name(self) -> str:
        """Such as `dynamic5.0`."""
        return f"dynamic{self.target_bpw:.1f}"


class MlxAwq(Workflow, frozen=True, kw_only=True, tag="mlx-awq"):
    """Settings of mlx-lm's activation-aware quantization (arXiv 2306.00978)."""

    TOOLCHAIN: ClassVar[str] = "mlx"
    TITLE: ClassVar[str] = "MLX, AWQ"
    PURPOSE: ClassVar[str] = "3 or 4 bits with channels that carry much scaled up first; Llama, Mistral, Qwen, Gemma 3."
    TAKES: ClassVar[tuple[ModelFormat, ...]] = ("safetensors",)
    MAKES: ClassVar[ModelFormat] = "mlx"
    FIELDS: ClassVar[dict[str, tuple[str, str]]] = {
        "bits": _BITS,
        "group_size": _GROUP,
        "embedding_bits": ("Embedding bits", "of the table of tokens and of the output layer"),
        "grid": ("Grid", "scales and clips tried for each layer; time grows with it"),
        "data": _DATA,
        "samples": _SAMPLES,
        "tokens": _TOKENS,
    }

    bits: Bits = 4
    group_size: GroupSize = 64
    embedding_bits: Bits = 4
    grid: Annotated[int, Meta(ge=2, le=100)] = 20
    data: Data = "topics"
    samples: Samples = 4
    tokens: Tokens = 64

    @property
    def suffix(self) -> str:
        """The bits."""
        return f"mlx-{self.type_name}"

    @property
    def type_name(self) -> str:
        """Such as `awq4`."""
        return f"awq{self.bits}"


class MlxGptq(Workflow, frozen=True, kw_only=True, tag="mlx-gptq"):
    """Settings of mlx-lm's GPTQ (arXiv 2210.17323)."""

    TOOLCHAIN: ClassVar[str] = "mlx"
    TITLE: ClassVar[str] = "MLX, GPTQ"
    PURPOSE: ClassVar[str] = "Each column's rounding error is made up for by the next columns, over a text of yours."
    TAKES: ClassVar[tuple[ModelFormat, ...]] = ("safetensors",)
    MAKES: ClassVar[ModelFormat] = "mlx"
    FIELDS: ClassVar[dict[str, tuple[str, str]]] = {
        "bits": ("Bits", "of a weight: 2, 4 or 8"),
        "group_size": _GROUP,
        "fallback_bits": ("Other bits", "of what GPTQ does not treat, such as the table of tokens"),
        "data": _DATA,
        "samples": _SAMPLES,
        "tokens": _TOKENS,
    }

    bits: Literal[2, 4, 8] = 4
    group_size: GroupSize = 64
    fallback_bits: Bits = 6
    data: Data = "topics"
    samples: Samples = 8
    tokens: Tokens = 128

    @property
    def suffix(self) -> str:
        """The bits."""
        return f"mlx-{self.type_name}"

    @property
    def type_name(self) -> str:
        """Such as `gptq4`."""
        return f"gptq{self.bits}"


class MlxDwq(Workflow, frozen=True, kw_only=True, tag="mlx-dwq"):
    """Settings of mlx-lm's distilled weight quantization."""

    TOOLCHAIN: ClassVar[str] = "mlx"
    TITLE: ClassVar[str] = "MLX, DWQ"
    PURPOSE: ClassVar[str] = "Scales and biases are trained until the quantized model answers as its parent does."
    TAKES: ClassVar[tuple[ModelFormat, ...]] = ("safetensors",)
    MAKES: ClassVar[ModelFormat] = "mlx"
    FIELDS: ClassVar[dict[str, tuple[str, str]]] = {
        "bits": ("Bits", "of a weight: 2, 3, 4, 5 or 6"),
        "group_size": _GROUP,
        "learning_rate": ("Learning rate", "of Adam; mlx-lm's own is 0.000001"),
        "data": _DATA,
        "samples": _SAMPLES,
        "tokens": _TOKENS,
    }

    bits: Literal[2, 3, 4, 5, 6] = 4
    group_size: GroupSize = 64
    learning_rate: Annotated[float, Meta(gt=0.0, le=0.01)] = 1e-6
    data: Data = "topics"
    samples: Samples = 16
    tokens: Tokens = 64

    @property
    def suffix(self) -> str:
        """The bits."""
        return f"mlx-{self.type_name}"

    @property
    def type_name(self) -> str:
        """Such as `dwq4`."""
        return f"dwq{self.bits}"
