"""What edgetui knows about a model on this machine without loading it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from edgetui.core.servers import ServerEndpoint

ModelSource = Literal["embedded", "folder", "hub", "Ollama", "LM Studio", "GPT4All", "Jan", "llama.cpp", "server"]
ModelFormat = Literal["gguf", "safetensors", "onnx", "mlx", "server"]


class TensorTypeShare(msgspec.Struct, frozen=True):
    """How much of a model is stored in one tensor type."""

    type_name: str
    """ggml's or safetensors' name, such as `Q4_K` or `BF16`."""
    tensor_count: int
    parameter_count: int
    size_bytes: int


class ModelMarks(msgspec.Struct, frozen=True, kw_only=True):
    """What a person wrote on a model."""

    is_favourite: bool = False
    tags: Annotated[str, Meta(max_length=200)] = ""
    """Words between blanks."""
    note: Annotated[str, Meta(max_length=2000)] = ""


class ModelEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the Models screen: a model, however many files hold it."""

    name: str
    """Unique on this machine; what the person types on the command line."""
    path: Path
    """The file to hand to an engine (first part of a split model)."""
    parts: tuple[Path, ...]
    """Every file of the model, in order: weights, and of a folder configuration and tokenizer too."""
    source: ModelSource
    format: ModelFormat
    size_bytes: int
    """All parts together."""
    architecture: str | None = None
    parameter_count: int | None = None
    quant_type: str | None = None
    """llama.cpp's name, such as `Q4_K_M`; for safetensors the dominant dtype, for MLX `4 bits g64`, for ONNX `int4`."""
    context_length: int | None = None
    """Tokens the model was trained for."""
    folder: Path | None = None
    """The folder that is the model; None for one of single files."""
    repo: str | None = None
    """Hub repository, where it came from one."""
    revision: str | None = None
    parent: str | None = None
    """Name of the model that it was quantized from."""
    recipe: str | None = None
    """How it was made of its parent, in words that a person can repeat."""
    recovered_from: str | None = None
    """Quantization type that its weights passed through, when its own type is wider (F16 made of Q4_1)."""
    problem: str | None = None
    """Why it cannot be used, in one sentence; None for a sound file."""
    fingerprint: str = ""
    """By which its content is known again; empty for a file that cannot be used."""
    marks: ModelMarks = ModelMarks()
    is_read: bool = True
    """False while only its name and size are known."""
    endpoint: ServerEndpoint | None = None
    """Where a model answers that is on a server and not here; then `path` and `parts` name no files."""

    @property
    def can_run(self) -> bool:
        """Whether an engine may be handed this model for a chat."""
        if self.problem is not None or not self.is_read or self.format == "safetensors":
            return False
        # onnxruntime-genai knows how to feed a graph by this file alone.
        return self.format != "onnx" or any(part.name == "genai_config.json" for part in self.parts)

    @property
    def is_gguf(self) -> bool:
        """Whether llama.cpp's tools may be handed this model."""
        return self.can_run and self.format == "gguf"

    @property
    def bits_per_weight(self) -> float | None:
        """Size in bits over the parameter count."""
        if not self.parameter_count:
            return None
        return self.size_bytes * 8 / self.parameter_count


class MetadataItem(msgspec.Struct, frozen=True):
    """One line of a model's metadata."""

    key: str
    type_name: str
    value: str
    """Whole for a single value; the beginning for a list."""


class TensorItem(msgspec.Struct, frozen=True):
    """One tensor of a model."""

    name: str
    type_name: str
    shape: tuple[int, ...]
    """As the format counts: GGUF names the row first."""
    size_bytes: int


class ModelDetails(msgspec.Struct, frozen=True):
    """What a model's files say of it."""

    entry: ModelEntry
    metadata: tuple[MetadataItem, ...]
    shares: tuple[TensorTypeShare, ...]
    tensors: tuple[TensorItem, ...]
