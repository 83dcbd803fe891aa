"""What becomes of Olive's output: a folder that runs by itself, like any other ONNX build."""

from __future__ import annotations

import filecmp
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgetui.core.failures import EdgetuiError
from edgetui.core.olive_footprint import FOOTPRINT_FILE, WORKFLOW_FILE
from edgetui.engines.onnx_runtime.beside import carry_along
from edgetui.formats.onnx import check_external_data, read_onnx

if TYPE_CHECKING:
    from collections.abc import Mapping

GRAPH = "model.onnx"
DATA = "model.onnx.data"

_OLIVES_OWN = (
    "footprint.json", "output_footprint.json", "model_config.json", "input_model_metrics.json", "run_history.txt",
    FOOTPRINT_FILE, WORKFLOW_FILE,
)  # fmt: skip


def take_result(told: Mapping[str, Any], made: Path, source: Path, target: Path, name: str) -> None:
    """Put the model that Olive describes by `told` into the folder `target`, with what it needs to run.

    `made` is where Olive wrote, `source` the first file of the model that it began with. Raises
    `EdgetuiError("unsupported")` for a result that is no single ONNX graph.
    """
    graph = _graph_of(told, made, source, name)
    _save(graph, source, target)
    check_external_data(read_onnx(target / GRAPH))
    # What Olive wrote itself comes last and stays.
    for first in (source, made / GRAPH):
        carry_along(first, target, but=_OLIVES_OWN)
    _adapt_genai_config(target / "genai_config.json", told.get("config", {}).get("inference_settings"))


def _graph_of(told: Mapping[str, Any], made: Path, source: Path, name: str) -> Path:
    kind, config = str(told.get("type", "")).lower(), told.get("config", {})
    if kind == "hfmodel" or kind.startswith("pytorch"):
        raise EdgetuiError(
            "unsupported",
            f"The workflow for {name} ends with a PyTorch model, and edgetui runs ONNX: let its last pass be"
            " ModelBuilder or OnnxConversion.",
        )
    path = Path(str(config.get("model_path") or made))
    if path.is_dir():
        file_name = config.get("onnx_file_name")
        graphs = [path / file_name] if file_name else sorted(path.glob("*.onnx"))
        path = graphs[0] if len(graphs) == 1 else path
    if kind != "onnxmodel" or not path.is_file():
        raise EdgetuiError(
            "unsupported",
            f"The workflow for {name} made more than one graph, which edgetui cannot run: take other passes.",
        )
    # A pass that only tunes leaves the model as it is, and Olive then copies the graph without its weights.
    return source if filecmp.cmp(path, source, shallow=False) else path


def _save(graph: Path, source: Path, target: Path) -> None:
    """Write the graph with its weights in one file beside it, as whoever runs it expects it.

    Passes of Olive 0.13 leave weights in the graph that they have replaced, and RTN renames an output whose product it
    has quantized.
    """
    import onnx_ir
    from onnx_ir.passes.common import RemoveUnusedNodesPass

    model = onnx_ir.load(str(graph))
    onnx_ir.external_data.load_to_model(model)
    RemoveUnusedNodesPass()(model)
    if source.suffix.lower() == ".onnx":
        for output, before in zip(model.graph.outputs, read_onnx(source).outputs, strict=False):
            output.name = before.name
    onnx_ir.save(model, str(target / GRAPH), external_data=DATA, size_threshold_bytes=1024)


def _adapt_genai_config(path: Path, inference: Mapping[str, Any] | None) -> None:
    """Name the new graph, and the session options that were found to be the fastest."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        decoder = told["model"]["decoder"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    decoder["filename"] = GRAPH
    options = (inference or {}).get("session_options") or {}
    tuned = decoder.setdefault("session_options", {})
    for key in ("intra_op_num_threads", "inter_op_num_threads"):
        if options.get(key) is not None:
            tuned[key] = options[key]
    if (level := options.get("graph_optimization_level")) is not None:
        tuned["graph_optimization_level"] = {0: "ORT_DISABLE_ALL", 1: "ORT_ENABLE_BASIC", 2: "ORT_ENABLE_EXTENDED"}.get(
            level, "ORT_ENABLE_ALL"
        )
    path.write_text(json.dumps(told, indent=4), encoding="utf-8")
