"""One ONNX graph as it is told of: its nodes, its weights by type and count, and where they lie."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from edgetui.core.models import TensorTypeShare

KNOWN_OPSET, KNOWN_IR_VERSION = 28, 14
"""What the onnx package 1.23 knows; newer ones are told of, not refused."""
_WEIGHT_NAMES = {
    "float32": "fp32", "float64": "fp64", "float16": "fp16", "bfloat16": "bf16", "uint8": "int8", "int8": "int8",
    "uint4": "int4", "int4": "int4", "uint2": "int2", "int2": "int2", "float4e2m1": "fp4", "uint16": "int16",
    "int16": "int16", "float8e4m3fn": "fp8", "float8e4m3fnuz": "fp8", "float8e5m2": "fp8", "float8e5m2fnuz": "fp8",
}  # fmt: skip
"""Types that weights have, by the names that the field gives them; other types hold shapes and indices."""


class ExternalData(NamedTuple):
    """Where a tensor's bytes lie outside the graph's file."""

    location: str
    """Relative to the folder of the graph's file."""
    offset: int
    length: int | None
    """None for the rest of the file."""


class OnnxTensor(NamedTuple):
    """An initializer, or the value of a Constant node."""

    name: str
    type_name: str
    shape: tuple[int, ...]
    size_bytes: int
    """As its type and shape have it."""
    external: ExternalData | None


class OnnxValue(NamedTuple):
    """An input or output of the graph."""

    name: str
    type_name: str
    shape: tuple[int | str, ...]
    """Extents; a word where one is free, `?` where nothing is said."""


class Packed(NamedTuple):
    """What an operator says of weights that it unpacks."""

    bits: int
    weights: int | None
    """How many there are; None to take it from the tensor's bytes."""


@dataclass
class OnnxModel:
    """One graph with everything inside it."""

    path: Path
    size_bytes: int
    """Of the graph's file alone."""
    ir_version: int = 0
    producer: str = ""
    opsets: dict[str, int] = field(default_factory=dict)
    """Version of each domain; the standard one is called `ai.onnx`."""
    graph_name: str = ""
    inputs: list[OnnxValue] = field(default_factory=list)
    """Without those that are initializers."""
    outputs: list[OnnxValue] = field(default_factory=list)
    nodes: Counter[str] = field(default_factory=Counter)
    """Operators and how often they occur, subgraphs and functions included; other domains than the standard one are
    named before the operator."""
    tensors: list[OnnxTensor] = field(default_factory=list)
    metadata: dict[str, str] = field(default_factory=dict)
    packed: dict[str, Packed] = field(default_factory=dict)
    scales: set[str] = field(default_factory=set)
    """Names of tensors that only scale or shift others."""
    lookups: dict[str, str] = field(default_factory=dict)
    """Values that number the rows of a table, such as ids of tokens, and the table's tensor."""

    @property
    def node_count(self) -> int:
        """All nodes."""
        return self.nodes.total()

    @property
    def parameter_count(self) -> int:
        """Weights, unpacked; without scales, zero points, shapes and indices."""
        return sum(count for _, count in map(self._weights, self.tensors))

    @property
    def quant_type(self) -> str | None:
        """Type of most weights: `int4`, `int8`, `fp16`, `fp32`; None for a graph without weights."""
        counts: Counter[str] = Counter()
        for name, count in map(self._weights, self.tensors):
            counts[name] += count
        return max(counts, key=counts.__getitem__) if counts.total() else None

    @property
    def shares(self) -> tuple[TensorTypeShare, ...]:
        """Tensors by the type of their weights, the largest share first."""
        sums: dict[str, list[int]] = {}
        for tensor in self.tensors:
            name, count = self._weights(tensor)
            entry = sums.setdefault(name, [0, 0, 0])
            entry[0] += 1
            entry[1] += count
            entry[2] += tensor.size_bytes
        shares = (TensorTypeShare(name, *entry) for name, entry in sums.items())
        return tuple(sorted(shares, key=lambda share: -share.size_bytes))

    @property
    def external_files(self) -> dict[str, int]:
        """Locations of external data, and how many bytes each must have at least."""
        needed: dict[str, int] = {}
        for tensor in self.tensors:
            if tensor.external is not None:
                location, offset, length = tensor.external
                end = offset + (tensor.size_bytes if length is None else length)
                needed[location] = max(needed.get(location, 0), end)
        return needed

    def rows_numbered_by(self, name: str) -> int | None:
        """How many rows the table has whose rows a value numbers; None for a value that numbers none."""
        table = self.lookups.get(name)
        found = next((tensor.shape for tensor in self.tensors if tensor.name == table), None) if table else None
        return found[0] if found else None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What may keep an engine from running it, a sentence each."""
        found = []
        opset = self.opsets.get("ai.onnx", 0)
        if opset > KNOWN_OPSET:
            found.append(f"Its opset {opset} is newer than {KNOWN_OPSET}: the installed engine may not know it.")
        if self.ir_version > KNOWN_IR_VERSION:
            found.append(f"Its IR version {self.ir_version} is newer than {KNOWN_IR_VERSION}: engines may refuse it.")
        return tuple(found)

    def _weights(self, tensor: OnnxTensor) -> tuple[str, int]:
        """By what name a tensor's weights go, and how many they are."""
        if tensor.name in self.scales:
            return "scales", 0
        if (packed := self.packed.get(tensor.name)) is not None:
            counted = tensor.size_bytes * 8 // packed.bits if packed.weights is None else packed.weights
            return f"int{packed.bits}", counted
        name = _WEIGHT_NAMES.get(tensor.type_name)
        return (tensor.type_name, 0) if name is None else (name, math.prod(tensor.shape))
