"""A workflow of one pass through Olive's own runner: a product in 4 bits, run afterwards."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path

from edgetui.core.failures import EdgetuiError
from edgetui.engines.toolchain_proofs.onnx import error_of, product_model, quantized


def prove(folder: Path) -> str:
    """Quantize a model by the pass OnnxBlockWiseRtnQuantization, offline and without telemetry."""
    from importlib.metadata import version

    import numpy
    import onnx
    import onnxruntime
    from olive.workflows import run

    random = numpy.random.default_rng(0)
    weights = random.standard_normal((64, 48), dtype=numpy.float32)
    x = random.standard_normal((4, 64), dtype=numpy.float32)
    source = folder / "product.onnx"
    onnx.save(product_model(weights), source)
    config = {
        "input_model": {"type": "ONNXModel", "model_path": str(source)},
        "passes": {"rtn": {"type": "OnnxBlockWiseRtnQuantization", "bits": 4, "block_size": 32}},
        "cache_dir": str(folder / "cache"),
        "output_dir": str(folder / "made"),
    }
    (folder / "workflow.json").write_text(json.dumps(config), encoding="utf-8")
    # It prints to standard output, where the answer goes.
    with contextlib.redirect_stdout(sys.stderr):
        run(str(folder / "workflow.json"))
    made = sorted((folder / "made").rglob("*.onnx"))
    if not made:
        raise EdgetuiError("internal", "a workflow ended without a model")
    kinds = [node.op_type for node in onnx.load(made[0]).graph.node]
    if "MatMulNBits" not in kinds:
        raise EdgetuiError("internal", f"the model of a workflow was not quantized, it holds {', '.join(kinds)}")
    session = onnxruntime.InferenceSession(str(made[0]), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"x": x})
    error = error_of(found, x @ quantized(weights))
    return (
        f"olive-ai {version('olive-ai')} ran a workflow offline that quantized a product of 64x48 numbers to 4 bits,"
        f" and onnxruntime {onnxruntime.__version__} runs it within {error:.1e} of numpy"
    )
