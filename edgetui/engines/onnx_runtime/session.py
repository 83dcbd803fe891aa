"""Sessions of ONNX Runtime, what to feed them, and the proof that what was made can run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from edgetui.core.failures import EdgetuiError
from edgetui.engines import host
from edgetui.engines.onnx_runtime.beside import configuration
from edgetui.engines.onnx_runtime.failures import reason, told
from edgetui.formats.model_folder import GENAI_CONFIG

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy
    from numpy.typing import NDArray

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "dml": "DmlExecutionProvider",
    "webgpu": "WebGpuExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
"""By the names that workflows and genai_config.json use."""
QUIET = 3
"""ONNX Runtime's severity from which on it writes to the log: errors."""
PROOF_TOKENS = 8

_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(int64)": "int64",
    "tensor(int32)": "int32",
    "tensor(int16)": "int16",
    "tensor(int8)": "int8",
    "tensor(uint8)": "uint8",
    "tensor(bool)": "bool",
}
_SMALL_IMAGE = 224


def require_provider(provider: str) -> str:
    """ONNX Runtime's name of an execution provider; raises `EdgetuiError("engine_missing")` where it is not there."""
    import onnxruntime

    available = onnxruntime.get_available_providers()
    name = PROVIDERS[provider]
    if name not in available:
        here = ", ".join(short for short, long in PROVIDERS.items() if long in available)
        raise EdgetuiError(
            "engine_missing",
            f"The execution provider {provider} is not in the installed ONNX Runtime, which has {here}: take one of"
            " these, or install an ONNX Runtime that was built with it.",
        )
    return name


def configured_provider(path: Path) -> str:
    """The provider that `genai_config.json` beside a graph asks for; `cpu` where it asks for none."""
    options = configuration(path, GENAI_CONFIG)
    for key in ("model", "decoder", "session_options", "provider_options"):
        options = (options.get(key) or {}) if isinstance(options, dict) else {}
    named = [str(name).lower() for option in options if isinstance(option, dict) for name in option]
    return next((name for name in named if name in PROVIDERS), "cpu")


def open_session(path: Path, *, threads: int = 0, provider: str = "cpu", level: str = "all") -> Any:
    """An `InferenceSession`; raises `EdgetuiError` in terms of the model."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = QUIET
    options.intra_op_num_threads = threads or host.default_threads()
    options.graph_optimization_level = optimization_level(level)
    with told(path.name, "Loading"):
        return onnxruntime.InferenceSession(os.fspath(path), options, providers=[require_provider(provider)])


def optimization_level(name: str) -> Any:
    """ONNX Runtime's own value."""
    from onnxruntime import GraphOptimizationLevel as Level

    return {
        "disabled": Level.ORT_DISABLE_ALL,
        "basic": Level.ORT_ENABLE_BASIC,
        "extended": Level.ORT_ENABLE_EXTENDED,
        "all": Level.ORT_ENABLE_ALL,
    }[name]


def reads_tokens(session: Any) -> bool:
    """Whether it takes tokens of a text."""
    return any(node.name == "input_ids" for node in session.get_inputs())


def token_feeds(session: Any, tokens: Sequence[int] | NDArray[numpy.int64], head_size: int | None) -> dict[str, Any]:
    """Inputs for one row of tokens without a past, by the names that exporters give them.

    `head_size` is the width of a head in the KV cache, for graphs that do not say it. Raises
    `EdgetuiError("unsupported")` for an input that is of no known kind.
    """
    import numpy

    count = len(tokens)
    feeds: dict[str, Any] = {}
    for node in session.get_inputs():
        dtype = _dtype(node)
        if node.name == "input_ids":
            feeds[node.name] = numpy.asarray(tokens, dtype=dtype)[None]
        elif node.name == "attention_mask":
            feeds[node.name] = numpy.ones((1, count), dtype=dtype)
        elif node.name == "position_ids":
            feeds[node.name] = numpy.arange(count, dtype=dtype)[None]
        elif node.name == "token_type_ids":
            feeds[node.name] = numpy.zeros((1, count), dtype=dtype)
        elif node.name == "use_cache_branch":
            feeds[node.name] = numpy.zeros((1,), dtype=dtype)
        elif node.name.startswith("past"):
            feeds[node.name] = numpy.zeros(_past_shape(node, head_size), dtype=dtype)
        else:
            raise EdgetuiError(
                "unsupported", f"The graph takes {node.name}, and edgetui does not know what belongs there."
            )
    return feeds


def _past_shape(node: Any, head_size: int | None) -> tuple[int, ...]:
    """One row, no tokens yet: `(1, heads, 0, head size)`."""
    shape = [extent if isinstance(extent, int) else None for extent in node.shape]
    if len(shape) != 4 or shape[1] is None or (shape[3] or head_size) is None:
        raise EdgetuiError(
            "unsupported", f"The graph's past {node.name} has the shape {node.shape}, which is no KV cache of heads."
        )
    return 1, shape[1], 0, shape[3] or head_size or 0


def head_size(path: Path) -> int | None:
    """Width of a head as the configurations beside a graph say it."""
    decoder = configuration(path, GENAI_CONFIG).get("model", {}).get("decoder", {})
    if size := decoder.get("head_size"):
        return int(size)
    config = configuration(path, "config.json")
    if size := config.get("head_dim"):
        return int(size)
    hidden, heads = config.get("hidden_size"), config.get("num_attention_heads")
    return int(hidden) // int(heads) if hidden and heads else None


def random_feeds(session: Any, seed: int) -> dict[str, Any]:
    """Inputs of the right shapes with normally distributed numbers; open extents are 1, those of images 224."""
    import numpy

    random = numpy.random.default_rng(seed)
    feeds = {}
    for node in session.get_inputs():
        dtype = _dtype(node)
        last = len(node.shape) - 2
        shape = [
            extent if isinstance(extent, int) else _SMALL_IMAGE if len(node.shape) == 4 and axis >= last else 1
            for axis, extent in enumerate(node.shape)
        ]
        if dtype.startswith("float"):
            feeds[node.name] = random.standard_normal(shape).astype(dtype)
        else:
            feeds[node.name] = random.integers(0, 2, shape).astype(dtype)
    return feeds


def _dtype(node: Any) -> str:
    if node.type not in _DTYPES:
        raise EdgetuiError("unsupported", f"The graph takes {node.name} of the type {node.type}, which edgetui lacks.")
    return _DTYPES[node.type]


def prove(path: Path, name: str, provider: str = "cpu") -> None:
    """Load what was made, and where it reads tokens run a few; raises `EdgetuiError` when that does not work.

    `name` is what the sentence calls it.
    """
    import numpy
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = QUIET
    # Whether every operator can be computed is known without optimizing.
    options.graph_optimization_level = optimization_level("disabled")
    with told(name, "Loading"):
        session = onnxruntime.InferenceSession(os.fspath(path), options, providers=[require_provider(provider)])
    if not reads_tokens(session):
        return
    outputs = [node.name for node in session.get_outputs() if not node.name.startswith("present")]
    try:
        feeds = token_feeds(session, list(range(PROOF_TOKENS)), head_size(path))
    except EdgetuiError:
        # It loads; what else it takes is not known here.
        return
    try:
        results = session.run(outputs, feeds)
    except Exception as error:
        raise EdgetuiError(
            "unsupported",
            f"{name} loads but does not run ({reason(error)}): take other settings.",
            detail=str(error),
        ) from error
    if not all(numpy.isfinite(result.astype(numpy.float32)).all() for result in results):
        raise EdgetuiError(
            "bad_file",
            f"What {name} computes is no number: its weights hold NaN or infinity, or overflow in this precision.",
        )
