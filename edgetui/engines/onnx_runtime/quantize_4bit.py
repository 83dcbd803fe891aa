"""Four bits for weights in blocks by onnxruntime's `MatMulNBitsQuantizer`; activations stay as they are."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from edgetui.core.failures import EdgetuiError
from edgetui.engines.onnx_runtime import graph, products
from edgetui.engines.onnx_runtime.beside import carry_along, refuse_pipeline
from edgetui.engines.onnx_runtime.failures import told
from edgetui.engines.onnx_runtime.listening import quantized_nodes
from edgetui.engines.onnx_runtime.session import prove

if TYPE_CHECKING:
    from pathlib import Path

    from edgetui.core.workflows.onnx import Onnx4Bit
    from edgetui.engines.reporting import Reporter
    from edgetui.formats.onnx import OnnxModel

INT4_OPSET = 21
"""First version of the standard operators that has integers of four bits."""


def make(source: Path, target: Path, settings: Onnx4Bit, job: Reporter) -> None:
    """Make the folder `target`: the quantized graph under the source's name, and what lay beside that.

    Raises `EdgetuiError`: `bad_file`, `unsupported`, `bad_request`, `out_of_memory`, `no_space`.
    """
    job.progress(0, None, "products", "reading")
    refuse_pipeline(source)
    model = graph.inspect(source)
    products.refuse_quantized(model)
    loaded = graph.load(source)
    embedding = _check(model, loaded, settings)
    graph.require_memory(2 * graph.source_bytes(model), source.name)
    os.makedirs(target)
    graph.load_weights(loaded, source)
    if embedding:
        products.separate_tables(loaded)
    kept = products.output_layer(loaded) if settings.keep_output else []
    _tell_padding(loaded, settings.block_size)
    total, done = len(products.matrices(loaded)), 0

    def quantized(node: str) -> None:
        nonlocal done
        done += 1
        job.progress(min(done, total), total, "products", f"quantized {node}")

    job.progress(0, total, "products", f"quantizing by {settings.algorithm}")
    with told(source.name, "Quantizing"), quantized_nodes(quantized):
        quantized_model = _quantize(loaded, settings, kept, embedding)
    job.progress(total, total, "products", "writing")
    made = target / source.name
    graph.save(quantized_model, made, outside=graph.lies_outside(model))
    products.require_change(model, graph.inspect(made))
    carry_along(source, target)
    prove(made, source.name)


def _check(model: OnnxModel, loaded: Any, settings: Onnx4Bit) -> bool:
    """Refuse what cannot be done; says whether the embedding can be quantized too."""
    name, opset = model.path.name, graph.opset_of(model)
    if not products.matrices(loaded):
        raise EdgetuiError(
            "unsupported",
            f"{name} has no MatMul with constant weights of two dimensions, which is all that becomes 4-bit: take"
            " onnx-dynamic-int8 or onnx-static-int8.",
        )
    old = opset < INT4_OPSET
    if settings.layout == "qdq":
        if settings.algorithm != "default":
            raise EdgetuiError("bad_request", "Layout qdq goes with algorithm=default only: change one of the two.")
        if old:
            raise EdgetuiError(
                "unsupported",
                f"{name} uses opset {opset}, and layout qdq needs opset {INT4_OPSET} for 4-bit weights:"
                " take layout=qoperator, or export the model with a newer opset.",
            )
        return False
    if settings.embedding and old:
        print(f"The embedding stays as it is: opset {opset} has no 4-bit table, {INT4_OPSET} has.")
    return settings.embedding and not old


def _tell_padding(loaded: Any, block_size: int) -> None:
    """Say in the log what blocks cost that do not divide a matrix: the last one is filled up with zeros."""
    matrices = products.matrices(loaded)
    uneven = [tensor for tensor in matrices if tensor.dims[0] % block_size]
    if not uneven:
        return
    lengths = sorted({int(tensor.dims[0]) for tensor in uneven})
    stored = sum(-(-tensor.dims[0] // block_size) * block_size * tensor.dims[1] for tensor in matrices)
    extra = stored / sum(tensor.dims[0] * tensor.dims[1] for tensor in matrices) - 1
    print(
        f"Blocks of {block_size} do not divide {', '.join(map(str, lengths))} in {len(uneven)} of {len(matrices)}"
        f" matrices: their last blocks are filled up with zeros, which makes the weights {extra:.1%} larger."
    )


def _quantize(loaded: Any, settings: Onnx4Bit, kept: list[str], embedding: bool) -> Any:
    """The quantized `ModelProto`."""
    from onnxruntime.quantization import QuantFormat
    from onnxruntime.quantization import matmul_nbits_quantizer as tool

    common: dict[str, Any] = {
        "block_size": settings.block_size,
        "is_symmetric": settings.symmetric,
        "accuracy_level": settings.accuracy_level,
        "nodes_to_exclude": kept,
    }
    layout = QuantFormat.QDQ if settings.layout == "qdq" else QuantFormat.QOperator
    if settings.algorithm == "default":
        quantizer = tool.MatMulNBitsQuantizer(loaded, quant_format=layout, **common)
    else:
        config = {
            "rtn": tool.RTNWeightOnlyQuantConfig,
            "k_quant": tool.KQuantWeightOnlyQuantConfig,
            "hqq": lambda: tool.HQQWeightOnlyQuantConfig(block_size=settings.block_size),
        }[settings.algorithm]()
        quantizer = tool.MatMulNBitsQuantizer(loaded, algo_config=config, **common)
    quantizer.process()
    if embedding:
        # Only this algorithm knows tables; the products are done.
        quantizer = tool.MatMulNBitsQuantizer(
            quantizer.model.model,
            block_size=settings.block_size,
            is_symmetric=settings.symmetric,
            op_types_to_quantize=("Gather",),
        )
        quantizer.process()
    return quantizer.model.model
