"""The job that quantizes: hidden files beside the target that take their names only when they are complete."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from edgetui.core.failures import EdgetuiError
from edgetui.core.units import format_bytes, format_duration
from edgetui.engines.llama_cpp import quantize
from edgetui.engines.reporting import Outcome
from edgetui.formats.final_name import refuse_existing, take_name
from edgetui.formats.gguf import check_loadable
from edgetui.store.provenance import Origin, Provenance
from edgetui.worker.runners.target_folder import make_folder
from edgetui.worker.runners.write_behind import WriteBehind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetui.engines.llama_cpp.quantize_log import Step
    from edgetui.worker.requests import QuantizeRequest
    from edgetui.worker.runners import RunningJob


def run(request: QuantizeRequest, job: RunningJob) -> Outcome:
    """Quantize `request.source` into `request.target`."""
    source, targets = Path(request.source), request.targets
    partials = request.partials(job.folder.job_id)
    name = targets[0].name
    began = time.monotonic()
    job.progress(0, None, "tensors", "reading the source")

    def report(step: Step) -> None:
        job.progress(
            step.tensors_done,
            step.tensor_count,
            "tensors",
            step.note,
            bytes_done=step.bytes_done,
            bytes_total=request.source_tensor_bytes,
        )

    make_folder(targets[0].parent)
    for target in targets:
        refuse_existing(target)
    with WriteBehind(partials):
        quantize.quantize(
            source,
            request.written(job.folder.job_id),
            request.type_name,
            request.options,
            allow_requantize=request.allow_requantize,
            threads=request.threads,
            name=name,
            on_step=report,
        )
    _check(partials[0], name)
    size_bytes = sum(partial.stat().st_size for partial in partials)
    job.finishing()
    # Before the file has its name: a model that is there always says what it was made of, whatever happens now.
    Provenance(job.database).record(
        targets[0],
        Origin(
            parent_name=request.parent_name,
            parent_path=request.source,
            type_name=request.type_name,
            recovered_from=request.recovered_from,
            recipe=request.recipe,
            created=time.time(),
        ),
        still_at=partials[0],
    )
    _take_names(partials, targets)
    return Outcome(
        summary=f"{name} is made: {format_bytes(size_bytes)} in {format_duration(time.monotonic() - began)}.",
        output=str(targets[0]),
    )


def _take_names(partials: Sequence[Path], targets: Sequence[Path]) -> None:
    """All or none; the first file, by which a model is found, comes last."""
    named: list[Path] = []
    try:
        for partial, target in reversed(tuple(zip(partials, targets, strict=True))):
            take_name(partial, target)
            named.append(target)
    except BaseException:
        for target in named:
            with suppress(OSError):
                target.unlink()
        raise


def _check(partial: Path, name: str) -> None:
    """Let nothing take the target's name that edgetui itself would refuse to load."""
    try:
        check_loadable(partial)
    except EdgetuiError as error:
        raise EdgetuiError(
            "bad_file",
            f"What llama.cpp wrote for {name} is not a sound file, so it was removed: take another type.",
            detail=str(error),
        ) from error
