"""The step that writes what a parent thinks of every scored token; it runs where the parent's engine is."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from edgetui.core.quality import CHUNKS
from edgetui.core.units import format_bytes, format_duration
from edgetui.engines import host
from edgetui.engines.quality import evaluate
from edgetui.engines.quality.rows import Rows
from edgetui.engines.quality.sources import open_source
from edgetui.engines.reporting import Outcome
from edgetui.formats.base_logits import BaseDescription, BaseLogitsShape, BaseLogitsWriter
from edgetui.formats.text_file import read_text
from edgetui.store.baselines import Baselines

if TYPE_CHECKING:
    from edgetui.worker.requests.quality import BaselineRequest
    from edgetui.worker.runners import RunningJob


def run(request: BaselineRequest, job: RunningJob) -> Outcome:
    """Write `request.target`."""
    model, target = request.model, Path(request.target)
    (partial,) = request.partials(job.folder.job_id)
    job.progress(0, None, CHUNKS, f"loading {model.name}")
    source = open_source(model, context_tokens=request.context_tokens, threads=request.threads)
    rows = Rows(model.name, request.threads or host.default_threads())
    began = time.monotonic()
    try:
        text = read_text(Path(request.text.path))
        tokens = evaluate.tokens_of(source, text, request.context_tokens, request.chunks, request.text.name)
        chunks = len(tokens) // request.context_tokens
        shape = BaseLogitsShape(request.context_tokens, source.vocabulary_size, chunks)
        Baselines(target.parent).make_room(target, shape.size_bytes, request.headroom_bytes)
        description = BaseDescription(
            base_name=model.name,
            base_fingerprint=model.fingerprint,
            engine=source.engine,
            engine_version=source.engine_version,
            text_sha256=request.text.sha256,
            bos=source.bos,
        )
        with BaseLogitsWriter(partial, shape, tokens, description, f"of {model.name}") as writer:
            evaluate.write_baseline(
                source, writer, tokens, shape, rows, lambda done, note: job.progress(done, chunks, CHUNKS, note)
            )
            writer.finish()
    finally:
        rows.close()
        source.close()
    job.finishing()
    # Another job may have made the same meanwhile: either is as good.
    os.replace(partial, target)
    return Outcome(
        summary=f"The baseline of {model.name} is made: {format_bytes(shape.size_bytes)} in"
        f" {format_duration(time.monotonic() - began)}.",
        output=str(target),
    )
