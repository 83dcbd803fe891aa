"""Static int8 by onnxruntime: the ranges of activations are measured over calibration data and written down."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

from edgetui.engines.onnx_runtime import graph, products
from edgetui.engines.onnx_runtime.beside import carry_along, refuse_pipeline
from edgetui.engines.onnx_runtime.calibration import samples
from edgetui.engines.onnx_runtime.failures import told
from edgetui.engines.onnx_runtime.session import open_session, prove, reads_tokens

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edgetui.core.workflows.onnx import OnnxStaticInt8
    from edgetui.engines.reporting import Reporter

TEXT_OPERATORS = ["MatMul", "Gemm"]
"""What is quantized by default in models that read tokens: the rest costs more in quality than it saves."""


def make(source: Path, target: Path, settings: OnnxStaticInt8, job: Reporter) -> None:
    """Make the folder `target`: the quantized graph under the source's name, and what lay beside that.

    Raises `EdgetuiError`: `bad_file`, `unsupported`, `bad_request`, `not_found` without a tokenizer, `out_of_memory`,
    `no_space`.
    """
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

    job.progress(0, None, "samples", "reading")
    refuse_pipeline(source)
    model = graph.inspect(source)
    products.refuse_quantized(model)
    products.refuse_half(model)
    is_qdq = settings.layout == "qdq"
    chosen = graph.op_types(settings.op_types, QDQRegistry if is_qdq else QLinearOpsRegistry)
    work = target / graph.WORK
    os.makedirs(work)
    # The model as it was, what shape inference makes of it, the one that is calibrated with, and the result.
    graph.require_memory(3 * graph.source_bytes(model), source.name)
    session = open_session(source, level="disabled")
    data = samples(
        session,
        source,
        settings.data,
        settings.samples,
        settings.tokens,
        lambda number, count: job.progress(number, count, "samples", "calibrating"),
    )
    if not chosen and reads_tokens(session):
        chosen = TEXT_OPERATORS
    first = data.get_next()
    with told(source.name, "Calibrating"):
        # A graph that does not take the data says so here, in its own terms.
        session.run(None, first)
    del session
    loaded = graph.load(source)
    staged = graph.stage(model, loaded, work)
    kept = products.output_layer(loaded) if settings.keep_output else []
    del loaded
    made = target / source.name
    with told(source.name, "Calibrating"), _temporary_files_in(work):
        quantize_static(
            os.fspath(staged),
            os.fspath(made),
            data,
            quant_format=QuantFormat.QDQ if is_qdq else QuantFormat.QOperator,
            op_types_to_quantize=chosen or None,
            per_channel=settings.per_channel,
            reduce_range=settings.reduce_range,
            activation_type=QuantType.QUInt8 if settings.activations == "uint8" else QuantType.QInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=kept,
            use_external_data_format=graph.lies_outside(model),
            calibrate_method={
                "minmax": CalibrationMethod.MinMax,
                "entropy": CalibrationMethod.Entropy,
                "percentile": CalibrationMethod.Percentile,
            }[settings.method],
            # A sample at a time: all activations of all samples together are more than a board has.
            extra_options={"CalibStridedMinMax": 1},
        )
    shutil.rmtree(work)
    job.progress(len(data), len(data), "samples", "checking")
    products.require_change(model, graph.inspect(made))
    carry_along(source, target)
    prove(made, source.name)


@contextmanager
def _temporary_files_in(folder: Path) -> Iterator[None]:
    """The library writes whole models into temporary folders: beside the result there is room, and they go with it."""
    before = tempfile.tempdir
    tempfile.tempdir = os.fspath(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before
