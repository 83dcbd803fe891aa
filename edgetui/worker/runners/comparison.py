"""The step of a search that holds models against their parent, on the same chunks and in turns."""

from __future__ import annotations

import math
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edgetui.core.recipe_search import Measured
from edgetui.core.statistics import mean
from edgetui.engines import host
from edgetui.engines.quality.rows import Rows
from edgetui.engines.recipe.divergence import ChunkDivergence, Chunks, open_model
from edgetui.engines.reporting import Outcome

if TYPE_CHECKING:
    from edgetui.worker.requests import ComparisonRequest
    from edgetui.worker.runners import RunningJob


def run(request: ComparisonRequest, job: RunningJob) -> Outcome:
    """Write `request.result`."""
    settings = request.settings
    (partial,) = request.partials(job.folder.job_id)
    rows = Rows(request.parent_name, host.usable_threads())
    job.progress(0, settings.chunks, "chunks", "loading the models")
    with ExitStack() as stack:
        loaded = []
        for path in (request.parent, *request.models):
            loaded.append(open_model(Path(path), settings.context_tokens, settings.threads))
            stack.callback(loaded[-1].close)
        parent, *models = loaded
        # After those that chose: what a choice was made over says nothing of what it is worth.
        chunks = Chunks(parent, request.text, settings.context_tokens, settings.choosing_chunks, settings.chunks)
        found: list[list[ChunkDivergence]] = [[] for _ in models]
        streams = [model.logits(chunks.chunks, chunks.shape.first_scored) for model in models]
        for number, base_rows in enumerate(chunks.encoded(parent, rows)):
            for so_far, stream in zip(found, streams, strict=True):
                so_far.append(chunks.divergence(number, base_rows, next(stream), rows))
            told = " against ".join(f"{mean([chunk.kl for chunk in so_far]):.4f}" for so_far in found)
            job.progress(number + 1, settings.chunks, "chunks", f"KL divergence {told}")
    measured = [
        Measured(
            name=Path(path).name,
            size_bytes=Path(path).stat().st_size,
            kl_chunks=tuple(chunk.kl for chunk in of),
            same_top1=mean([chunk.same_top1 for chunk in of]),
            perplexity=math.exp(min(300.0, mean([chunk.nll for chunk in of]))),
        )
        for path, of in zip(request.models, found, strict=True)
    ]
    partial.write_bytes(msgspec.json.encode(measured))
    partial.replace(request.result)
    return Outcome(summary=f"{request.parent_name}: {settings.chunks} chunks compared.", output=request.result)
