"""The job that quantizes: a hidden file beside the target that takes its name only when it is complete."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from edgetui.core.failures import EdgetuiError
from edgetui.core.units import format_bytes, format_duration
from edgetui.engines.llama_cpp import quantize
from edgetui.engines.reporting import Outcome
from edgetui.formats.final_name import refuse_existing, take_name
from edgetui.store.provenance import Origin, Provenance

if TYPE_CHECKING:
    from edgetui.worker.requests import QuantizeRequest
    from edgetui.worker.runners import RunningJob


def run(request: QuantizeRequest, job: RunningJob) -> Outcome:
    """Quantize `request.source` into `request.target`."""
    source, target = Path(request.source), Path(request.target)
    (partial,) = request.partials(job.folder.job_id)
    began = time.monotonic()
    job.progress(0, None, "tensors", "reading the source")
    predicted = quantize.predict(source, request.type_name)

    def report(step: quantize.Step) -> None:
        job.progress(
            step.tensors_done,
            step.tensor_count,
            "tensors",
            step.note,
            bytes_done=step.bytes_done,
            bytes_total=predicted.source_tensor_bytes,
        )

    _make_folder(target.parent)
    refuse_existing(target)
    quantize.quantize(
        source,
        partial,
        request.type_name,
        allow_requantize=request.allow_requantize,
        threads=request.threads,
        name=target.name,
        on_step=report,
    )
    _check(partial, target)
    size_bytes = partial.stat().st_size
    job.finishing()
    # Before the file has its name: a model that is there always says what it was made of, whatever happens now.
    Provenance(job.database).record(
        target,
        Origin(
            parent_name=request.parent_name,
            parent_path=request.source,
            type_name=request.type_name,
            recovered_from=request.recovered_from,
            recipe=f"llama.cpp quantization of {source.name} to {request.type_name}",
            created=time.time(),
        ),
        still_at=partial,
    )
    take_name(partial, target)
    return Outcome(
        summary=f"{target.name} is made: {format_bytes(size_bytes)} in {format_duration(time.monotonic() - began)}.",
        output=str(target),
    )


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EdgetuiError(
            "no_permission", f"The folder {folder} cannot be made ({error.strerror}): name another folder."
        ) from error


def _check(partial: Path, target: Path) -> None:
    """Let nothing take the target's name that edgetui itself would refuse to load."""
    from edgetui.formats.gguf import check_loadable

    try:
        check_loadable(partial)
    except EdgetuiError as error:
        raise EdgetuiError(
            "bad_file",
            f"What llama.cpp wrote for {target.name} is not a sound file, so it was removed: take another type.",
            detail=str(error),
        ) from error
