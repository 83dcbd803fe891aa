"""Dynamic int8 by onnxruntime: weights become integers now, activations while the model runs."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from edgetui.engines.onnx_runtime import graph, products
from edgetui.engines.onnx_runtime.beside import carry_along, refuse_pipeline
from edgetui.engines.onnx_runtime.failures import told
from edgetui.engines.onnx_runtime.session import prove

if TYPE_CHECKING:
    from pathlib import Path

    from edgetui.core.workflows.onnx import OnnxDynamicInt8
    from edgetui.engines.reporting import Reporter

STEPS = 4


def make(source: Path, target: Path, settings: OnnxDynamicInt8, job: Reporter) -> None:
    """Make the folder `target`: the quantized graph under the source's name, and what lay beside that.

    Raises `EdgetuiError`: `bad_file`, `unsupported`, `bad_request`, `out_of_memory`, `no_space`.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.registry import IntegerOpsRegistry

    job.progress(0, STEPS, "steps", "reading")
    refuse_pipeline(source)
    model = graph.inspect(source)
    products.refuse_quantized(model)
    products.refuse_half(model)
    chosen = graph.op_types(settings.op_types, IntegerOpsRegistry)
    work = target / graph.WORK
    os.makedirs(work)
    # The model as it was, what shape inference makes of it, and the result.
    graph.require_memory(2 * graph.source_bytes(model), source.name)
    loaded = graph.load(source)
    staged = graph.stage(model, loaded, work)
    kept = products.output_layer(loaded) if settings.keep_output else []
    del loaded
    job.progress(1, STEPS, "steps", "quantizing")
    made = target / source.name
    with told(source.name, "Quantizing"):
        quantize_dynamic(
            os.fspath(staged),
            os.fspath(made),
            op_types_to_quantize=chosen or None,
            per_channel=settings.per_channel,
            reduce_range=settings.reduce_range,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=kept,
            use_external_data_format=graph.lies_outside(model),
        )
    shutil.rmtree(work)
    job.progress(2, STEPS, "steps", "checking")
    products.require_change(model, graph.inspect(made))
    prove(made, source.name)
    job.progress(3, STEPS, "steps", "copying what lies beside it")
    carry_along(source, target)
    job.progress(STEPS, STEPS, "steps")
