"""The products of a graph: which hold weights that can be quantized, and whether quantizing has changed any."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgetui.core.failures import EdgetuiError

if TYPE_CHECKING:
    from collections import Counter

    from edgetui.formats.onnx import OnnxModel

QUANTIZED_OPERATORS = {
    *("MatMulNBits", "MatMulBnb4", "GatherBlockQuantized", "QMoE"),
    *("MatMulInteger", "MatMulIntegerToFloat", "DynamicQuantizeMatMul", "DynamicQuantizeLinear", "ConvInteger"),
    *("DynamicQuantizeLSTM", "QuantizeLinear", "DequantizeLinear"),
    *("QLinearMatMul", "QLinearConv", "QGemm", "QAttention", "QEmbedLayerNormalization"),
}
"""Operators that only a quantized model has."""

_PASSED = ("Cast", "Reshape", "Identity", "Add", "Mul", "Div", "Tanh", "Squeeze", "Unsqueeze", "Softmax", "Sigmoid")
"""What may stand between the last product and the model's output."""


def refuse_quantized(model: OnnxModel) -> None:
    """Raise `EdgetuiError("unsupported")` for a model that is quantized already."""
    if found := _quantized(model.nodes):
        told = ", ".join(f"{count} {kind}" for kind, count in list(found.items())[:3])
        raise EdgetuiError(
            "unsupported", f"{model.path.name} is quantized already ({told}): take its unquantized build."
        )


def refuse_half(model: OnnxModel) -> None:
    """Raise `EdgetuiError("unsupported")` for weights of 16 bits, which onnxruntime's int8 tools do not take."""
    if model.quant_type in ("fp16", "bf16"):
        raise EdgetuiError(
            "unsupported",
            f"The weights of {model.path.name} are {model.quant_type}, and ONNX Runtime's int8 tools take fp32 only:"
            " take the fp32 build.",
        )


def require_change(before: OnnxModel, after: OnnxModel) -> None:
    """Raise `EdgetuiError("unsupported")` where quantizing found nothing to quantize; else log what it did."""
    gained = _quantized(after.nodes)
    if not gained:
        there = ", ".join(f"{count} {kind}" for kind, count in before.nodes.most_common(4))
        raise EdgetuiError(
            "unsupported",
            f"Nothing in {before.path.name} can be quantized so: no operator of the chosen types has constant weights"
            f" (it has {there}).",
        )
    print(f"Quantized: {', '.join(f'{count} {kind}' for kind, count in gained.items())}.")


def _quantized(nodes: Counter[str]) -> dict[str, int]:
    """Quantized operators and how many, the most frequent first."""
    short = {kind: kind.rpartition(":")[2] for kind in nodes}
    return {short[kind]: count for kind, count in nodes.most_common() if short[kind] in QUANTIZED_OPERATORS}


def matrices(loaded: Any) -> list[Any]:
    """Weights, as `TensorProto`, of the products by a constant matrix in a `ModelProto`."""
    initializers = {tensor.name: tensor for tensor in loaded.graph.initializer}
    names = [node.input[1] for node in loaded.graph.node if node.op_type == "MatMul"]
    return [initializers[name] for name in names if name in initializers and len(initializers[name].dims) == 2]


def output_layer(loaded: Any) -> list[str]:
    """Name of the product that makes the first output of a `ModelProto`; none where something else does."""
    makers = {output: node for node in loaded.graph.node for output in node.output}
    node = makers.get(loaded.graph.output[0].name)
    while node is not None and node.op_type in _PASSED:
        node = next((makers[name] for name in node.input if name in makers), None)
    return [node.name] if node is not None and node.op_type in ("MatMul", "Gemm") else []


def separate_tables(loaded: Any) -> None:
    """Give a `ModelProto` whose table of tokens is its output layer, transposed while it runs, a table of its own.

    Only constant tables can be quantized, and quantized both together are far smaller than the one was.
    """
    from onnx import numpy_helper

    initializers = {tensor.name: tensor for tensor in loaded.graph.initializer}
    transposes = {node.output[0]: node for node in loaded.graph.node if node.op_type == "Transpose"}
    readers: dict[str, int] = {}
    for node in loaded.graph.node:
        for name in node.input:
            readers[name] = readers.get(name, 0) + 1
    for node in loaded.graph.node:
        made = transposes.get(node.input[0]) if node.op_type == "Gather" else None
        weights = initializers.get(made.input[0]) if made is not None else None
        if made is None or weights is None or len(weights.dims) != 2:
            continue
        table = numpy_helper.to_array(weights).T.copy()
        loaded.graph.initializer.append(numpy_helper.from_array(table, f"{weights.name}_table"))
        node.input[0] = f"{weights.name}_table"
        if readers[made.output[0]] == 1:
            loaded.graph.node.remove(made)
