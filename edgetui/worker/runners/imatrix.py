"""The job that makes an importance matrix: a hidden file that takes its name only when it is complete."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from edgetui.core.failures import EdgetuiError
from edgetui.core.units import counted, format_duration
from edgetui.engines.llama_cpp.imatrix import collect
from edgetui.engines.reporting import Outcome
from edgetui.formats.final_name import refuse_existing, take_name
from edgetui.formats.imatrix import write_imatrix
from edgetui.formats.text_file import read_text
from edgetui.store.provenance import Origin, Provenance
from edgetui.worker.runners.target_folder import make_folder
from edgetui.worker.texts import topics

if TYPE_CHECKING:
    from edgetui.worker.requests import ImatrixRequest
    from edgetui.worker.runners import RunningJob


def run(request: ImatrixRequest, job: RunningJob) -> Outcome:
    """Let `request.model` read the text, and keep what went into its matrices."""
    target = Path(request.target)
    (partial,) = request.partials(job.folder.job_id)
    began = time.monotonic()
    job.progress(0, None, "chunks", "reading the model")
    make_folder(target.parent)
    refuse_existing(target)
    text = read_text(Path(request.text)) if request.text else topics()
    started = time.monotonic()

    def report(done: int, total: int) -> None:
        nonlocal started
        if done == 0:
            started = time.monotonic()
            job.progress(0, total, "chunks", f"{request.model_name} reads {request.text_name}")
            return
        rate = done * request.chunk_tokens / (time.monotonic() - started)
        job.progress(done, total, "chunks", f"{request.model_name} reads {request.text_name}: {rate:.0f} tok/s")

    found = collect(
        Path(request.model),
        text,
        chunks=request.chunks,
        chunk_tokens=request.chunk_tokens,
        threads=request.threads,
        on_chunk=report,
    )
    try:
        write_imatrix(
            partial,
            found.entries,
            dataset=request.text_name,
            chunk_count=found.chunk_count,
            chunk_tokens=found.chunk_tokens,
        )
    except OSError as error:
        raise EdgetuiError(
            "no_space", f"{target} cannot be written ({error.strerror}): free some space there."
        ) from error
    job.finishing()
    Provenance(job.database).record(
        target,
        Origin(
            parent_name=request.model_name,
            parent_path=request.model,
            type_name="imatrix",
            recipe=f"importance matrix of {request.model_name} over {counted(found.chunk_count, 'chunk')} of"
            f" {request.text_name}",
            created=time.time(),
        ),
        still_at=partial,
    )
    take_name(partial, target)
    unused = f"; {found.unused_experts} expert matrices were never used" if found.unused_experts else ""
    return Outcome(
        summary=(
            f"{target.name} is made: {len(found.entries)} matrices over {counted(found.chunk_count, 'chunk')} of"
            f" {request.text_name} in {format_duration(time.monotonic() - began)}{unused}."
        ),
        output=str(target),
    )
