"""What a GGUF header says: metadata, tensors, and the figures that follow from both."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from edgetui.core.ggml import FILE_TYPES, TensorType
from edgetui.core.models import TensorTypeShare


@dataclass(frozen=True, slots=True)
class GgufArray:
    """An array in the metadata: how many of what, and the first few."""

    type_name: str
    count: int
    first: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class GgufTensor:
    """One tensor as the header describes it."""

    name: str
    shape: tuple[int, ...]
    """Elements of each dimension, the row first, as ggml counts."""
    type: TensorType
    offset: int
    """Bytes from the start of its file's tensor data."""
    size_bytes: int
    part: int = 0
    """Which file of a split model holds it, from 0."""


@dataclass(frozen=True)
class GgufHeader:
    """All that a GGUF file, or the parts of a split one, say before the tensor data."""

    path: Path
    parts: tuple[Path, ...]
    version: int
    byte_order: Literal["little", "big"]
    metadata: dict[str, Any]
    """Of the first part; arrays as `GgufArray`."""
    types: dict[str, str]
    """Name of each key's value type."""
    tensors: tuple[GgufTensor, ...]
    """Of all parts, in file order."""
    alignment: int
    tensors_offset: int
    """Where the first part's list of tensors begins."""
    data_offset: int
    """Where the first part's tensor data begins."""
    size_bytes: int
    """All parts together."""
    missing_bytes: int = 0
    """How much shorter the files are than their tensors need."""

    def text(self, key: str) -> str | None:
        """A string value, None when absent or of another type."""
        value = self.metadata.get(key)
        return value if isinstance(value, str) else None

    def number(self, key: str) -> int | None:
        """An integer value; of an array of them (one a layer) the largest of the first few."""
        value = self.metadata.get(key)
        if isinstance(value, GgufArray):
            numbers = [item for item in value.first if isinstance(item, int) and not isinstance(item, bool)]
            return max(numbers) if numbers else None
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def of_architecture(self, key: str) -> int | None:
        """An integer under the architecture's own prefix, such as `block_count`."""
        return self.number(f"{self.architecture}.{key}") if self.architecture else None

    @property
    def architecture(self) -> str | None:
        """`llama`, `qwen3`, `gemma3n`, ..."""
        return self.text("general.architecture")

    @property
    def name(self) -> str | None:
        """The model's own name for itself."""
        return self.text("general.name")

    @property
    def context_length(self) -> int | None:
        """Tokens the model was trained for."""
        return self.of_architecture("context_length")

    @property
    def chat_template(self) -> str | None:
        """Source of the chat template."""
        return self.text("tokenizer.chat_template")

    @property
    def vocabulary_size(self) -> int | None:
        """Number of tokens."""
        tokens = self.metadata.get("tokenizer.ggml.tokens")
        return tokens.count if isinstance(tokens, GgufArray) else self.of_architecture("vocab_size")

    @cached_property
    def parameter_count(self) -> int:
        """Elements of all tensors."""
        return sum(math.prod(tensor.shape) for tensor in self.tensors)

    @cached_property
    def shares(self) -> tuple[TensorTypeShare, ...]:
        """Tensors by type, the largest share first."""
        sums: dict[str, list[int]] = {}
        for tensor in self.tensors:
            entry = sums.setdefault(tensor.type.name, [0, 0, 0])
            entry[0] += 1
            entry[1] += math.prod(tensor.shape)
            entry[2] += tensor.size_bytes
        shares = (TensorTypeShare(name, *entry) for name, entry in sums.items())
        return tuple(sorted(shares, key=lambda share: -share.size_bytes))

    @property
    def quant_type(self) -> str | None:
        """llama.cpp's name of the file type; where the file does not say, the type with the largest share."""
        number = self.number("general.file_type")
        named = None if number is None else FILE_TYPES.get(number)
        return named or (self.shares[0].type_name if self.shares else None)
