"""The job that makes a model by a workflow: a hidden file or folder that takes its name only when it is complete."""

from __future__ import annotations

import time
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from edgetui.core.units import format_bytes, format_duration
from edgetui.core.workflows import workflow_name, workflow_recipe
from edgetui.engines.reporting import Outcome
from edgetui.formats.final_name import refuse_existing, take_name
from edgetui.formats.model_folder import engine_file
from edgetui.store.provenance import Origin, Provenance
from edgetui.worker.runners.target_folder import make_folder

if TYPE_CHECKING:
    from edgetui.engines.reporting import Reporter
    from edgetui.worker.requests import WorkflowRequest
    from edgetui.worker.runners import RunningJob

MAKERS: dict[str, str] = {
    "to-gguf": "edgetui.engines.convert.to_gguf",
    "to-safetensors": "edgetui.engines.convert.to_safetensors",
    "onnx-build": "edgetui.engines.onnx_runtime.build",
    "onnx-dynamic-int8": "edgetui.engines.onnx_runtime.quantize_dynamic",
    "onnx-static-int8": "edgetui.engines.onnx_runtime.quantize_static",
    "onnx-4bit": "edgetui.engines.onnx_runtime.quantize_4bit",
    "onnx-optimize": "edgetui.engines.onnx_runtime.optimize",
    "olive-convert": "edgetui.engines.olive.run",
    "olive-int4": "edgetui.engines.olive.run",
    "olive-gptq": "edgetui.engines.olive.run",
    "olive-static-int8": "edgetui.engines.olive.run",
    "olive-session-tuning": "edgetui.engines.olive.run",
    "olive-custom": "edgetui.engines.olive.run",
    "mlx-quantize": "edgetui.engines.mlx.convert",
    "mlx-convert": "edgetui.engines.mlx.convert",
    "mlx-dequantize": "edgetui.engines.mlx.dequantize",
    "mlx-fuse": "edgetui.engines.mlx.fuse",
    "mlx-dynamic": "edgetui.engines.mlx.dynamic",
    "mlx-awq": "edgetui.engines.mlx.awq",
    "mlx-gptq": "edgetui.engines.mlx.gptq",
    "mlx-dwq": "edgetui.engines.mlx.dwq",
}
"""Workflow to the module whose `make` does it; imported only when its job runs."""


class Maker(Protocol):
    """The `make` of a module in `MAKERS`."""

    def __call__(self, source: Path, target: Path, settings: Any, job: Reporter) -> None:
        """Make `target`, a file or folder that is not there yet, of the model whose first file is `source`.

        Whatever it leaves in `target` when it fails is removed. Raises `EdgetuiError`.
        """


def run(request: WorkflowRequest, job: RunningJob) -> Outcome:
    """Make `request.target` of `request.source`."""
    target = Path(request.target)
    (partial,) = request.partials(job.folder.job_id)
    name = workflow_name(request.settings)
    began = time.monotonic()
    job.progress(0, None, "steps", "starting")
    make_folder(target.parent)
    refuse_existing(target)
    # A step of a sweep knows of what the step before it makes no more than its folder.
    source = engine_file(Path(request.source))
    cast("Maker", import_module(MAKERS[name]).make)(source, partial, request.settings, job)
    size_bytes = _size_bytes(partial)
    job.finishing()
    # Before it has its name: a model that is there always says what it was made of, whatever happens now.
    Provenance(job.database).record(
        target,
        Origin(
            parent_name=request.source_name,
            parent_path=request.source,
            type_name=request.settings.type_name,
            recovered_from=request.recovered_from,
            recipe=workflow_recipe(request.settings, request.source_name),
            created=time.time(),
        ),
        still_at=partial,
    )
    take_name(partial, target)
    return Outcome(
        summary=f"{target.name} is made: {format_bytes(size_bytes)} in {format_duration(time.monotonic() - began)}.",
        output=str(target),
    )


def _size_bytes(made: Path) -> int:
    files = [path for path in made.rglob("*") if path.is_file()] if made.is_dir() else [made]
    return sum(path.stat().st_size for path in files)
