"""A lean reader of ONNX graphs without the onnx package: what the nodes are and where weights lie, never weights.

Field numbers and type codes as in the format's own `onnx.proto`.
"""

from __future__ import annotations

import math
import os
import re
from typing import TYPE_CHECKING

from edgetui.core.failures import EdgetuiError
from edgetui.core.units import format_bytes
from edgetui.formats.onnx_model import ExternalData, OnnxModel, OnnxTensor, OnnxValue, Packed
from edgetui.formats.protobuf import BYTES, VARINT, Field, WireError, WireFile, signed
from edgetui.formats.regular_file import open_regular

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["OnnxModel", "check_external_data", "read_onnx"]

MOST_NODES, MOST_TENSORS = 2_000_000, 500_000
_MOST_TEXT_BYTES = 64 * 1024
_MOST_DIMENSIONS = 64
_MOST_DEPTH = 32
"""Of graphs within graphs."""
_MOST_ELEMENTS = 1 << 62

_TYPES: dict[int, tuple[str, int]] = {
    1: ("float32", 32), 2: ("uint8", 8), 3: ("int8", 8), 4: ("uint16", 16), 5: ("int16", 16), 6: ("int32", 32),
    7: ("int64", 64), 8: ("string", 0), 9: ("bool", 8), 10: ("float16", 16), 11: ("float64", 64), 12: ("uint32", 32),
    13: ("uint64", 64), 14: ("complex64", 64), 15: ("complex128", 128), 16: ("bfloat16", 16), 17: ("float8e4m3fn", 8),
    18: ("float8e4m3fnuz", 8), 19: ("float8e5m2", 8), 20: ("float8e5m2fnuz", 8), 21: ("uint4", 4), 22: ("int4", 4),
    23: ("float4e2m1", 4), 24: ("float8e8m0", 8), 25: ("uint2", 2), 26: ("int2", 2), 27: ("float6e2m3", 6),
    28: ("float6e3m2", 6),
}  # fmt: skip
"""Code to name and bits an element."""
_SCALES_FROM = {"MatMulNBits": 2, "GatherBlockQuantized": 2, "DequantizeLinear": 1, "QuantizeLinear": 1}
"""Operators to the first of their inputs that holds scales and zero points, which are no weights."""
_LOOKUPS = ("Gather", "GatherBlockQuantized")
"""Operators that take rows, numbered by their second input, of a table."""
_MOST_LOOKUPS = 10_000
_PACKED_INPUT = {"MatMulNBits": 1, "GatherBlockQuantized": 0}


def read_onnx(path: Path) -> OnnxModel:
    """Read a graph; raises `EdgetuiError("bad_file")` for what is no ONNX, cut short, or made to deceive."""
    try:
        with open_regular(path) as stream:
            size = os.fstat(stream.fileno()).st_size
            model = OnnxModel(path, size)
            try:
                _Reader(WireFile(stream, size), model).model()
            except WireError as error:
                raise _refused(model, error) from error
    except OSError as error:
        raise EdgetuiError("bad_file", f"{path.name} cannot be read ({error.strerror}).") from error
    if not model.ir_version or not (model.nodes or model.outputs or model.tensors):
        raise EdgetuiError("bad_file", f"{path.name} is not an ONNX model: it holds no graph.")
    return model


def check_external_data(model: OnnxModel) -> None:
    """Whether the files that hold weights are beside the graph and long enough; raises `EdgetuiError("bad_file")`."""
    name = model.path.name
    for location, needed in model.external_files.items():
        parts = re.split(r"[/\\]", location)
        if not location or location[0] in "/\\" or ".." in parts or ":" in parts[0] or "\0" in location:
            raise EdgetuiError(
                "bad_file",
                f"{name} looks for its weights outside its own folder ({location[:200]!r}): do not use it, get it again"
                " from where you trust it.",
            )
        data = model.path.parent / location
        try:
            there = data.stat().st_size
        except OSError as error:
            raise EdgetuiError(
                "bad_file", f"{name} needs {location}, which is missing: put it beside the graph again."
            ) from error
        if there < needed:
            raise EdgetuiError(
                "bad_file",
                f"{location} is cut short ({format_bytes(there)}, and {name} needs {format_bytes(needed)}): get it"
                " again.",
            )


def _refused(model: OnnxModel, error: WireError) -> EdgetuiError:
    name = model.path.name
    if error.is_short and model.ir_version:
        return EdgetuiError("bad_file", f"{name} is cut short: get it again.", str(error))
    if not model.ir_version and not model.nodes:
        return EdgetuiError("bad_file", f"{name} is not an ONNX model ({error}).")
    return EdgetuiError("bad_file", f"{name} is not a usable ONNX model ({error}): get it again.")


class _Reader:
    """Messages of `onnx.proto` into an `OnnxModel`."""

    def __init__(self, wire: WireFile, model: OnnxModel) -> None:
        self._wire = wire
        self._model = model
        self._nodes_left = MOST_NODES

    def model(self) -> None:
        """ModelProto."""
        model, wire = self._model, self._wire
        producer = ["", ""]
        for each in wire.fields(0, wire.size):
            match each.number:
                case 1:
                    model.ir_version = _varint(each)
                case 2 | 3:
                    producer[each.number - 2] = wire.text(each, _MOST_TEXT_BYTES)
                case 7:
                    self._graph(_message(each), 0)
                case 8:
                    self._opset(_message(each))
                case 14:
                    model.metadata |= [self._pair(_message(each))]
                case 25:
                    self._function(_message(each))
        model.producer = " ".join(producer).strip()
        known = {tensor.name for tensor in model.tensors}
        model.inputs = [value for value in model.inputs if value.name not in known]

    def _graph(self, graph: Field, depth: int) -> None:
        if depth > _MOST_DEPTH:
            raise WireError(f"graphs lie more than {_MOST_DEPTH} deep in each other")
        model, wire = self._model, self._wire
        for each in wire.fields(graph.value, graph.end):
            match each.number:
                case 1:
                    self._node(_message(each), depth)
                case 2 if depth == 0:
                    model.graph_name = wire.text(each, _MOST_TEXT_BYTES)
                case 5:
                    self._add(self._tensor(_message(each)))
                case 11 if depth == 0:
                    model.inputs.append(self._value(_message(each)))
                case 12 if depth == 0:
                    model.outputs.append(self._value(_message(each)))
                case 15:
                    for part in wire.fields(_message(each).value, each.end):
                        if part.number == 1:
                            self._add(self._tensor(_message(part)))

    def _node(self, node: Field, depth: int) -> None:
        model, wire = self._model, self._wire
        kind = domain = output = ""
        inputs: list[Field] = []
        attributes: list[Field] = []
        for each in wire.fields(node.value, node.end):
            match each.number:
                case 1:
                    inputs.append(each)
                case 2:
                    output = output or wire.text(each, _MOST_TEXT_BYTES)
                case 4:
                    kind = wire.text(each, _MOST_TEXT_BYTES)
                case 5:
                    attributes.append(_message(each))
                case 7:
                    domain = wire.text(each, _MOST_TEXT_BYTES)
        self._nodes_left -= 1
        if self._nodes_left < 0:
            raise WireError(f"it has more than {MOST_NODES} nodes")
        model.nodes[kind if domain in ("", "ai.onnx") else f"{domain}:{kind}"] += 1
        numbers: dict[str, int] = {}
        for attribute in attributes:
            self._attribute(attribute, kind, output, numbers, depth)
        if kind in _LOOKUPS and depth == 0 and len(inputs) > 1 and len(model.lookups) < _MOST_LOOKUPS:
            table, rows = (wire.text(each, _MOST_TEXT_BYTES) for each in inputs[:2])
            if not numbers.get("axis" if kind == "Gather" else "gather_axis", 0):
                model.lookups[rows] = table
        if kind in _SCALES_FROM:
            first = _SCALES_FROM[kind]
            names = [wire.text(each, _MOST_TEXT_BYTES) for each in inputs[: first + 2]]
            model.scales.update(names[first:])
            place = _PACKED_INPUT.get(kind, len(names))
            bits = numbers.get("bits", 4)
            if place < len(names) and 1 <= bits <= 16:
                weights = numbers.get("K", 0) * numbers.get("N", 0)
                model.packed[names[place]] = Packed(bits, weights if 0 < weights < _MOST_ELEMENTS else None)

    def _attribute(self, attribute: Field, kind: str, output: str, numbers: dict[str, int], depth: int) -> None:
        """Whole numbers go to `numbers`; of tensors only the values of Constant nodes are weights."""
        wire, name = self._wire, ""
        for each in wire.fields(attribute.value, attribute.end):
            match each.number:
                case 1:
                    name = wire.text(each, _MOST_TEXT_BYTES)
                case 3:
                    numbers[name] = signed(_varint(each))
                case 5 if kind == "Constant":
                    self._add(self._tensor(_message(each))._replace(name=output))
                case 6 | 11:
                    self._graph(_message(each), depth + 1)

    def _function(self, function: Field) -> None:
        for each in self._wire.fields(function.value, function.end):
            if each.number == 7:
                self._node(_message(each), 1)

    def _add(self, tensor: OnnxTensor) -> None:
        if len(self._model.tensors) >= MOST_TENSORS:
            raise WireError(f"it has more than {MOST_TENSORS} tensors")
        self._model.tensors.append(tensor)

    def _tensor(self, tensor: Field) -> OnnxTensor:
        wire, name, code, is_external = self._wire, "", 0, False
        shape: list[int] = []
        told: dict[str, str] = {}
        for each in wire.fields(tensor.value, tensor.end):
            match each.number:
                case 1:
                    shape += wire.numbers(each, _MOST_DIMENSIONS)
                    if len(shape) > _MOST_DIMENSIONS:
                        raise WireError(f"a tensor has more than {_MOST_DIMENSIONS} dimensions")
                case 2:
                    code = _varint(each)
                case 8:
                    name = wire.text(each, _MOST_TEXT_BYTES)
                case 13:
                    told |= [self._pair(_message(each))]
                case 14:
                    is_external = _varint(each) == 1
        if code not in _TYPES:
            raise WireError(f"the tensor {name[:100]!r} has the unknown type {code}")
        elements = math.prod(shape)
        if min(shape, default=0) < 0 or elements > _MOST_ELEMENTS:
            raise WireError(f"the tensor {name[:100]!r} has an impossible shape")
        type_name, bits = _TYPES[code]
        external = _external(name, told) if is_external else None
        return OnnxTensor(name, type_name, tuple(shape), (elements * bits + 7) // 8, external)

    def _value(self, value: Field) -> OnnxValue:
        wire, name, code = self._wire, "", 0
        shape: list[int | str] = []
        for each in wire.fields(value.value, value.end):
            if each.number == 1:
                name = wire.text(each, _MOST_TEXT_BYTES)
            elif each.number == 2:
                for kind in wire.fields(_message(each).value, each.end):
                    # Of sequences, maps and options only the name is told.
                    if kind.number == 1:
                        for part in wire.fields(_message(kind).value, kind.end):
                            if part.number == 1:
                                code = _varint(part)
                            elif part.number == 2:
                                shape = self._extents(_message(part))
        return OnnxValue(name, _TYPES.get(code, ("", 0))[0], tuple(shape))

    def _extents(self, shape: Field) -> list[int | str]:
        extents: list[int | str] = []
        for each in self._wire.fields(shape.value, shape.end):
            if each.number == 1:
                extent: int | str = "?"
                for part in self._wire.fields(_message(each).value, each.end):
                    if part.number == 1:
                        extent = signed(_varint(part))
                    elif part.number == 2:
                        extent = self._wire.text(part, _MOST_TEXT_BYTES)
                extents.append(extent)
                if len(extents) > _MOST_DIMENSIONS:
                    raise WireError(f"an input or output has more than {_MOST_DIMENSIONS} dimensions")
        return extents

    def _opset(self, opset: Field) -> None:
        domain, version = "", 0
        for each in self._wire.fields(opset.value, opset.end):
            if each.number == 1:
                domain = self._wire.text(each, _MOST_TEXT_BYTES)
            elif each.number == 2:
                version = signed(_varint(each))
        self._model.opsets[domain or "ai.onnx"] = version

    def _pair(self, pair: Field) -> tuple[str, str]:
        found = ["", ""]
        for each in self._wire.fields(pair.value, pair.end):
            if each.number in (1, 2):
                found[each.number - 1] = self._wire.text(each, _MOST_TEXT_BYTES)
        return found[0], found[1]


def _external(name: str, told: dict[str, str]) -> ExternalData:
    try:
        offset = int(told.get("offset") or 0)
        length = int(told["length"]) if told.get("length") else None
    except ValueError as error:
        raise WireError(f"the tensor {name[:100]!r} says no number where its data lies") from error
    if offset < 0 or (length is not None and length < 0):
        raise WireError(f"the tensor {name[:100]!r} has an impossible place")
    return ExternalData(told.get("location", ""), offset, length)


def _message(each: Field) -> Field:
    if each.wire != BYTES:
        raise WireError(f"field {each.number} is no message")
    return each


def _varint(each: Field) -> int:
    if each.wire != VARINT:
        raise WireError(f"field {each.number} is no whole number")
    return each.value
