"""A product of a matrix, quantized to 4 bits by onnxruntime's own tool, against the same by numpy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgetui.core.failures import EdgetuiError

_BLOCK = 32
_ROWS, _COLUMNS = 64, 48


def prove(folder: Path) -> str:
    """Quantize in blocks, run it, and compare with the quantized weights multiplied by numpy."""
    import numpy
    import onnx
    import onnxruntime
    import onnxruntime_genai
    import onnxruntime_genai.models.builder  # brings torch and transformers
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

    random = numpy.random.default_rng(0)
    weights = random.standard_normal((_ROWS, _COLUMNS), dtype=numpy.float32)
    x = random.standard_normal((4, _ROWS), dtype=numpy.float32)
    quantizer = MatMulNBitsQuantizer(product_model(weights), bits=4, block_size=_BLOCK, is_symmetric=True)
    quantizer.process()
    path = folder / "product.onnx"
    quantizer.model.save_model_to_file(str(path))
    (node,) = onnx.load(path).graph.node
    if node.op_type != "MatMulNBits":
        raise EdgetuiError("internal", f"the product was not quantized, it is still a {node.op_type}")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"x": x})
    error = error_of(found, x @ quantized(weights))
    return (
        f"onnxruntime {onnxruntime.__version__} (onnx {onnx.__version__}, onnxruntime-genai"
        f" {onnxruntime_genai.__version__}) quantized a product of {_ROWS}x{_COLUMNS} numbers to 4 bits and runs it,"
        f" within {error:.1e} of numpy"
    )


def error_of(found: Any, expected: Any) -> float:
    """Largest difference over the largest number; raises `EdgetuiError("internal")` where that is no rounding."""
    import numpy

    error = float(numpy.abs(found - expected).max() / numpy.abs(expected).max())
    if not error < 1e-3:
        raise EdgetuiError("internal", f"a 4-bit product is wrong by {error:.1%} of its largest number")
    return error


def product_model(matrix: Any) -> Any:
    """`y = x W` as ONNX, in an opset and format that every pinned runtime reads."""
    from onnx import TensorProto, helper, numpy_helper

    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"], name="product")],
        "product",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", matrix.shape[0]])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", matrix.shape[1]])],
        [numpy_helper.from_array(matrix, "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def quantized(matrix: Any) -> Any:
    """What symmetric 4-bit blocks along the rows keep of a matrix: scale = extreme / -8, values -8 to 7."""
    import numpy

    blocks = matrix.T.reshape(matrix.shape[1], -1, _BLOCK)
    at = numpy.abs(blocks).argmax(axis=-1, keepdims=True)
    scales = numpy.take_along_axis(blocks, at, axis=-1) / -8
    values = numpy.clip(numpy.round(blocks / scales), -8, 7)
    return (values * scales).reshape(matrix.shape[1], -1).T
