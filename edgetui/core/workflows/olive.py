"""Microsoft Olive's: workflows of passes, each a template in `data/olive` that becomes the JSON which Olive runs."""

from __future__ import annotations

from pathlib import PurePath
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from edgetui.core.models import ModelFormat
from edgetui.core.workflows.base import Workflow

BlockSize = Literal[16, 32, 64, 128, 256]
"""Weights of a row that share one scale."""

_TEXT = ("Calibration text", "topics (Python's documentation) or the path of a UTF-8 text")
_TOKENS = ("Tokens", "of each sample")


class OliveWorkflow(Workflow, frozen=True, kw_only=True):
    """Base of Olive's workflows."""

    TOOLCHAIN: ClassVar[str] = "olive"
    MAKES: ClassVar[ModelFormat] = "onnx"

    @property
    def template(self) -> str:
        """Name of the file in `data/olive`, without its ending; its `$NAME` stand for fields of this struct."""
        raise NotImplementedError

    @property
    def text_file(self) -> str:
        """Path of the person's own calibration text; empty where there is none."""
        text = getattr(self, "text", "topics")
        return "" if text == "topics" else str(text)


class OliveConvert(OliveWorkflow, frozen=True, kw_only=True, tag="olive-convert"):
    """Settings of Olive's conversions to ONNX."""

    TITLE: ClassVar[str] = "Olive: ONNX conversion"
    PURPOSE: ClassVar[str] = "An ONNX model by Olive's passes: ModelBuilder for decoders, OnnxConversion for the rest."
    TAKES: ClassVar[tuple[ModelFormat, ...]] = ("safetensors",)
    FIELDS: ClassVar[dict[str, tuple[str, str]]] = {
        "kind": ("Kind", "decoder (with KV cache, for onnxruntime-genai), or encoder (BERT and other models)"),
        "precision": ("Precision", "fp32 or int4; encoders fp32 only"),
        "block_size": ("Block size", "weights that share a scale, for int4: 16, 32, 64, 128 or 256"),
        "opset": ("Opset", "of an encoder's graph"),
    }

    kind: Literal["decoder", "encoder"] = "decoder"
    precision: Literal["fp32", "int4"] = "fp32"
    block_size: BlockSize = 32
    opset: Annotated[int, Meta(ge=18, le=23)] = 20

    @property
    def template(self) -> str:
        """By kind and precision."""
        if self.kind == "encoder":
            return "convert-encoder"
        return "convert-decoder-int4" if self.precision == "int4" else "convert-decoder"

    @property
    def suffix(self) -> str:
        """The precision."""
        return f"olive-{self.type_name}"

    @property
    def type_name(self) -> str:
        """The precision."""
        return "fp32" if self.kind == "encoder" else self.precision


class OliveInt4(OliveWorkflow, frozen=True, kw_only=True, tag="olive-int4"):
    """Settings of Olive's own weight-only quantizations of ONNX models.

    Its HQQ is not offered: with the pinned versions the logits of what it makes are noise.
    """

    TITLE: ClassVar[str] = "Olive: int4, weights only"
    PURPOSE: ClassVar[str] = "Any fp32 ONNX model with large products, no data needed: RTN or k-quant."
    TAKES: ClassVar[tuple[ModelFormat, ...]] = ("onnx",)
    FIELDS: ClassVar[dict[str, tuple[str, str]]] = {
        "algorithm": ("Algorithm", "rtn (seconds) or k_quant (scales searched for)"),
        "bits": ("Bits", "4 or 8"),
        "block_size": ("Block size", "weights that share a scale: 16, 32, 64, 128 or 256; must divide their rows"),
        "symmetric": ("Symmetric", "for rtn; true: no zero points; false: finer"),
        "accuracy_level": ("Accuracy level", "products are computed in 1 fp32, 2 fp16, 3 bf16, 4 int8; 0: as stored"),
    }

    algorithm: Literal["rtn", "k_quant"] = "rtn"
    bits: Literal[4, 8] = 4
    block_size: BlockSize = 32
    symmetric: bool = False
    accuracy_level: Annotated[int, Meta(ge=0, le=4)] = 4

    @property
    def template(self) -> str:
        """By algorithm."""
        return f"int4-{self.algorithm.replace('_', '')}"

    @property
    def suffix(self) -> str:
        """Type and algorithm."""
        return f"olive-{self.type_name}-{self.algorithm.replace('_', '')}"

    @property
    def type_name(self) -> str:
        """The type of weights."""
        return f"int{self.bits}"


class OliveGptq(OliveWorkflow, frozen=True, kw_only=True, tag="olive-gptq"):
    """Settings of Olive's GPTQ, whose result its ModelBuilder turns into an ONNX decoder."""

    TITLE: ClassVar[str] = "Olive: GPTQ int4 decoder"
    PURPOSE: ClassVar[str] = "Weights are rounded so that outputs over a text of yours stay closest; takes a minute."
    TAKES: ClassVar[tuple[ModelFormat, ...]] = ("safetensors",)
    FIELDS: ClassVar[dict[str, tuple[str, str]]] = {
        "text": _TEXT,
        "samples": ("Samples", "windows of the text that are calibrated with"),
        "tokens": _TOKENS,
        "bits": ("Bits", "4 or 8"),
        "group_size": ("Group size", "weights that share a scale: 16, 32, 64, 128 or 256; must divide their rows"),
        "symmetric": ("Symmetric", "true: no zero points; false: finer"),
        "output_layer": ("Output layer too", "GPTQ for the product that makes the logits; else it is rounded to int4"),
        "damp_percent": ("Damping", "added to the Hessian's diagonal, as a share of its mean"),
    }

    text: Annotated[str, Meta(min_length=1, max_length=4096)] = "topics"
    samples: Annotated[int, Meta(ge=1, le=4096)] = 16
    tokens: Annotated[int, Meta(ge=16, le=8192)] = 256
    bits: Literal[4, 8] = 4
    group_size: BlockSize = 32
    symmetric: bool = False
    output_layer: bool = False
    damp_percent: Annotated[float, Meta(gt=0, le=1)] = 0.01

    @property
    def template(self) -> str:
        """The only one."""
        return "gptq"

    @property
    def suffix(self) -> str:
        """Type and algorithm."""
        return f"olive-int{self.bits}-gptq"

    @property
    def type_name(self) -> str:
        """The type of weights."""
        return f"int{self.bits}"


class OliveStaticInt8(OliveWorkflow, frozen=True, kw_only=True, tag="olive-static-int8"):
    """Settings of Olive's static quantization."""

    TITLE: ClassVar[str] = "Olive: int8, static"
    PURPOSE: ClassVar[str] = "For integer accelerators: ranges of activations are measured over a text first."
    TAKES: ClassVar[tuple[ModelFormat, ...]] = ("onnx",)
    FIELDS: ClassVar[dict[str, tuple[str, str]]] = {
        "text": _TEXT,
        "samples": ("Samples", "windows of the text that are calibrated with"),
        "tokens": _TOKENS,
        "method": ("Method", "MinMax, Entropy or Percentile"),
        "activations": ("Activations", "uint8 or int8"),
        "per_channel": ("Per channel", "a scale for each column of weights: closer, hardly larger"),
    }

    text: Annotated[str, Meta(min_length=1, max_length=4096)] = "topics"
    samples: Annotated[int, Meta(ge=1, le=4096)] = 8
    tokens: Annotated[int, Meta(ge=2, le=8192)] = 64
    method: Literal["MinMax", "Entropy", "Percentile"] = "MinMax"
    activations: Literal["uint8", "int8"] = "uint8"
    per_channel: bool = True

    @property
    def template(self) -> str:
        """The only one."""
        return "static-int8"

    @property
    def suffix(self) -> str:
        """The kind, and the method where it is not the usual one."""
        return "olive-static-int8" + (f"-{self.method.lower()}" if self.method != "MinMax" else "")

    @property
    def type_name(self) -> str:
        """The type of weights."""
        return "int8"


class OliveSessionTuning(OliveWorkflow, frozen=True, kw_only=True, tag="olive-session-tuning"):
    """Settings of Olive's search for the session options with which a model answers soonest here."""

    TITLE: ClassVar[str] = "Olive: session tuning"
    PURPOSE: ClassVar[str] = "The same model with the threads and graph optimization that are fastest on this machine."
    TAKES: ClassVar[tuple[ModelFormat, ...]] = ("onnx",)
    FIELDS: ClassVar[dict[str, tuple[str, str]]] = {
        "text": _TEXT,
        "tokens": ("Tokens", "of the prompt whose latency is measured"),
        "most_threads": ("Most threads", "1, 2, 4 and so on up to this are tried; 0: all that there are"),
        "all_levels": ("All levels", "try the levels of graph optimization too, not only the highest"),
    }

    text: Annotated[str, Meta(min_length=1, max_length=4096)] = "topics"
    tokens: Annotated[int, Meta(ge=1, le=8192)] = 32
    most_threads: Annotated[int, Meta(ge=0, le=1024)] = 0
    all_levels: bool = False

    @property
    def template(self) -> str:
        """The only one."""
        return "session-tuning"

    @property
    def suffix(self) -> str:
        """The kind."""
        return "olive-tuned"

    @property
    def type_name(self) -> str:
        """Weights stay what they are, which the files tell."""
        return ""


class OliveCustom(OliveWorkflow, frozen=True, kw_only=True, tag="olive-custom"):
    """A workflow of a person's own."""

    TITLE: ClassVar[str] = "Olive: a workflow of your own"
    PURPOSE: ClassVar[str] = "Runs an Olive workflow from a JSON file on this model."
    TAKES: ClassVar[tuple[ModelFormat, ...]] = ("safetensors", "onnx")
    FIELDS: ClassVar[dict[str, tuple[str, str]]] = {
        "file": ("Workflow", "path of its JSON, such as one that was saved on the Olive screen"),
        "allow_hub": ("Allow the hub", "true: its passes may fetch data from the network; else nothing is asked"),
    }

    file: Annotated[str, Meta(max_length=4096)] = ""
    allow_hub: bool = False

    @property
    def template(self) -> str:
        """None: the file is it."""
        return ""

    @property
    def suffix(self) -> str:
        """The file's name."""
        stem = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in PurePath(self.file).stem)
        return f"olive-{stem.strip('.-') or 'custom'}"

    @property
    def type_name(self) -> str:
        """Not known before; the files tell."""
        return ""
