"""ONNX Runtime's: decoders by the model builder of onnxruntime-genai, and what onnxruntime does to any ONNX model."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from edgetui.core.models import ModelFormat
from edgetui.core.workflows.base import Workflow

BlockSize = Literal[16, 32, 64, 128, 256]
"""Weights of a row that share one scale."""

_OP_TYPES = ("Operators", "types to quantize, with commas, such as MatMul,Gemm; empty for the usual ones")


class OnnxBuild(Workflow, frozen=True, kw_only=True, tag="onnx-build"):
    """Settings of onnxruntime-genai's model builder."""

    TOOLCHAIN: ClassVar[str] = "onnx"
    TITLE: ClassVar[str] = "ONNX decoder"
    PURPOSE: ClassVar[str] = "A language model for ONNX Runtime, with its KV cache; fp32 is the source of the others."
    TAKES: ClassVar[tuple[ModelFormat, ...]] = ("safetensors", "gguf")
    GGUF_TYPES: ClassVar[tuple[str, ...]] = ("F16", "F32")
    MAKES: ClassVar[ModelFormat] = "onnx"
    FIELDS: ClassVar[dict[str, tuple[str, str]]] = {
        "precision": ("Precision", "int4, int8 (both weights only), fp16, bf16 or fp32"),
        "provider": ("Execution provider", "what shall run it: cpu, cuda, dml or webgpu"),
        "block_size": ("Block size", "weights that share a scale, for int4 and int8: 16, 32, 64, 128 or 256"),
        "accuracy_level": ("Accuracy level", "products are computed in 1 fp32, 2 fp16, 3 bf16, 4 int8; 0: as usual"),
        "algorithm": ("Algorithm", "for int4 and int8: default, rtn or k_quant"),
        "mixed": ("Mixed int8", "for int4, kept in int8: none, last (the output layer) or layers (sensitive ones too)"),
        "symmetric": ("Symmetric", "true: no zero points, smaller; false: finer"),
    }

    precision: Literal["int4", "int8", "fp16", "bf16", "fp32"] = "int4"
    provider: Literal["cpu", "cuda", "dml", "webgpu"] = "cpu"
    block_size: BlockSize = 32
    accuracy_level: Annotated[int, Meta(ge=0, le=4)] = 0
    algorithm: Literal["default", "rtn", "k_quant"] = "default"
    mixed: Literal["none", "last", "layers"] = "none"
    symmetric: bool = True

    @property
    def suffix(self) -> str:
        """Precision, and what differs from the usual."""
        algorithm = self.algorithm.replace("_", "") if self.algorithm != "default" and self.is_quantizing else ""
        provider = self.provider if self.provider != "cpu" else ""
        return "-".join(word for word in ("onnx", self.precision, algorithm, provider) if word)

    @property
    def type_name(self) -> str:
        """The precision."""
        return self.precision

    @property
    def is_quantizing(self) -> bool:
        """Whether weights become integers."""
        return self.precision in ("int4", "int8")


class OnnxDynamicInt8(Workflow, frozen=True, kw_only=True, tag="onnx-dynamic-int8"):
    """Settings of `onnxruntime.quantization.quantize_dynamic`."""

    TOOLCHAIN: ClassVar[str] = "onnx"
    TITLE: ClassVar[str] = "ONNX int8, dynamic"
    PURPOSE: ClassVar[str] = "Any fp32 model, no data needed: activations are quantized while it runs."
    TAKES: ClassVar[tuple[ModelFormat, ...]] = ("onnx",)
    MAKES: ClassVar[ModelFormat] = "onnx"
    FIELDS: ClassVar[dict[str, tuple[str, str]]] = {
        "per_channel": ("Per channel", "a scale for each column of weights: much closer, hardly larger"),
        "reduce_range": ("Reduced range", "7 bits of weights, for processors without VNNI that overflow with 8"),
        "keep_output": ("Keep the output layer", "leave the product that makes the logits as it is"),
        "op_types": _OP_TYPES,
    }

    per_channel: bool = True
    reduce_range: bool = False
    keep_output: bool = False
    op_types: Annotated[str, Meta(max_length=200)] = ""

    @property
    def suffix(self) -> str:
        """The kind."""
        return "onnx-dynamic-int8"

    @property
    def type_name(self) -> str:
        """The type of weights."""
        return "int8"


class OnnxStaticInt8(Workflow, frozen=True, kw_only=True, tag="onnx-static-int8"):
    """Settings of `onnxruntime.quantization.quantize_static`."""

    TOOLCHAIN: ClassVar[str] = "onnx"
    TITLE: ClassVar[str] = "ONNX int8, static"
    PURPOSE: ClassVar[str] = "For integer accelerators: ranges of activations are measured over calibration data first."
    TAKES: ClassVar[tuple[ModelFormat, ...]] = ("onnx",)
    MAKES: ClassVar[ModelFormat] = "onnx"
    FIELDS: ClassVar[dict[str, tuple[str, str]]] = {
        "data": ("Calibration data", "topics (Python's documentation), random, or the path of a UTF-8 text"),
        "samples": ("Samples", "how many inputs are calibrated with"),
        "tokens": ("Tokens", "of each sample, for models that read text"),
        "method": ("Method", "minmax, entropy or percentile"),
        "layout": ("Layout", "qdq (pairs of nodes, what accelerators take) or qoperator (operators of integers)"),
        "activations": ("Activations", "uint8 or int8"),
        "per_channel": ("Per channel", "a scale for each column of weights: closer, hardly larger"),
        "reduce_range": ("Reduced range", "7 bits of weights, for processors without VNNI that overflow with 8"),
        "keep_output": ("Keep the output layer", "leave the product that makes the logits as it is"),
        "op_types": _OP_TYPES,
    }

    data: Annotated[str, Meta(min_length=1, max_length=4096)] = "topics"
    samples: Annotated[int, Meta(ge=1, le=4096)] = 16
    tokens: Annotated[int, Meta(ge=2, le=8192)] = 128
    method: Literal["minmax", "entropy", "percentile"] = "minmax"
    layout: Literal["qdq", "qoperator"] = "qdq"
    activations: Literal["uint8", "int8"] = "uint8"
    per_channel: bool = True
    reduce_range: bool = False
    keep_output: bool = True
    op_types: Annotated[str, Meta(max_length=200)] = ""

    @property
    def suffix(self) -> str:
        """The kind, and the method where it is not the usual one."""
        return "onnx-static-int8" + (f"-{self.method}" if self.method != "minmax" else "")

    @property
    def type_name(self) -> str:
        """The type of weights."""
        return "int8"


class Onnx4Bit(Workflow, frozen=True, kw_only=True, tag="onnx-4bit"):
    """Settings of onnxruntime's `MatMulNBitsQuantizer`."""

    TOOLCHAIN: ClassVar[str] = "onnx"
    TITLE: ClassVar[str] = "ONNX int4, weights only"
    PURPOSE: ClassVar[str] = "Any model with large products: 4-bit weights in blocks, activations as they were."
    TAKES: ClassVar[tuple[ModelFormat, ...]] = ("onnx",)
    MAKES: ClassVar[ModelFormat] = "onnx"
    FIELDS: ClassVar[dict[str, tuple[str, str]]] = {
        "algorithm": ("Algorithm", "default, rtn, k_quant or hqq (the last two take minutes)"),
        "block_size": ("Block size", "weights that share a scale: 16, 32, 64, 128 or 256"),
        "symmetric": ("Symmetric", "true: no zero points, half the memory on CPUs; hqq and k_quant always have them"),
        "accuracy_level": ("Accuracy level", "products are computed in 1 fp32, 2 fp16, 3 bf16, 4 int8; 0: as stored"),
        "layout": ("Layout", "qoperator (MatMulNBits) or qdq (standard nodes; algorithm default, opset 21)"),
        "embedding": ("Embedding too", "quantize the table of tokens as well (opset 21)"),
        "keep_output": ("Keep the output layer", "leave the product that makes the logits as it is"),
    }

    algorithm: Literal["default", "rtn", "hqq", "k_quant"] = "default"
    block_size: BlockSize = 32
    symmetric: bool = True
    accuracy_level: Annotated[int, Meta(ge=0, le=4)] = 4
    layout: Literal["qoperator", "qdq"] = "qoperator"
    embedding: bool = True
    keep_output: bool = False

    @property
    def suffix(self) -> str:
        """Type, and the algorithm where it is not the usual one."""
        return "onnx-4bit" + (f"-{self.algorithm.replace('_', '')}" if self.algorithm != "default" else "")

    @property
    def type_name(self) -> str:
        """The type of weights."""
        return "int4"


class OnnxOptimize(Workflow, frozen=True, kw_only=True, tag="onnx-optimize"):
    """Settings of ONNX Runtime's graph optimization, done once and saved."""

    TOOLCHAIN: ClassVar[str] = "onnx"
    TITLE: ClassVar[str] = "ONNX graph optimization"
    PURPOSE: ClassVar[str] = "Fewer nodes and a quicker start: what a session would do at each load is done once."
    TAKES: ClassVar[tuple[ModelFormat, ...]] = ("onnx",)
    MAKES: ClassVar[ModelFormat] = "onnx"
    FIELDS: ClassVar[dict[str, tuple[str, str]]] = {
        "level": ("Level", "disabled, basic, extended or all (with layouts for this very machine)"),
        "provider": ("Execution provider", "what the graph is optimized for; extended and all depend on it"),
        "fusion": ("Transformer fusion", "none, or the model type for its fusions: bert, gpt2, t5, bart or vit"),
    }

    level: Literal["disabled", "basic", "extended", "all"] = "extended"
    provider: Literal["cpu", "cuda", "dml", "webgpu", "coreml", "openvino", "tensorrt"] = "cpu"
    fusion: Literal["none", "bert", "gpt2", "t5", "bart", "vit"] = "none"

    @property
    def suffix(self) -> str:
        """The level."""
        return f"onnx-{self.level}" + (f"-{self.fusion}" if self.fusion != "none" else "")

    @property
    def type_name(self) -> str:
        """Weights stay what they are, which the files tell."""
        return ""
