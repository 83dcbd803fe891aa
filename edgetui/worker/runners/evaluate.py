"""The step that measures a model; it runs where the model's engine is, and tells one row."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from edgetui.core.quality import CHUNKS, TASK_CONTEXT_TOKENS, QualityRow
from edgetui.engines import host
from edgetui.engines.quality import evaluate
from edgetui.engines.quality.rows import Rows
from edgetui.engines.quality.sources import open_source
from edgetui.engines.quality.tasks import try_tasks
from edgetui.engines.reporting import Outcome
from edgetui.formats.base_logits import BaseLogits
from edgetui.formats.text_file import read_text

if TYPE_CHECKING:
    from edgetui.core.quality import Divergence, Estimate, TaskScore
    from edgetui.engines.logits import LogitSource
    from edgetui.worker.requests.quality import EvaluateRequest
    from edgetui.worker.runners import RunningJob


def run(request: EvaluateRequest, job: RunningJob) -> Outcome:
    """Measure `request.model`."""
    settings, model = request.settings, request.model
    job.progress(0, None, CHUNKS, f"loading {model.name}")
    context_tokens = max(settings.context_tokens, TASK_CONTEXT_TOKENS if request.tasks else 0)
    with ExitStack() as opened:
        source = open_source(model, context_tokens=context_tokens, threads=settings.threads)
        opened.callback(source.close)
        rows = Rows(model.name, settings.threads or host.default_threads())
        opened.callback(rows.close)
        began = time.monotonic()
        text = read_text(Path(request.text.path))
        if request.baseline is None:
            tokens = evaluate.tokens_of(source, text, settings.context_tokens, settings.chunks, request.text.name)
            measuring = _Measuring(request, job, len(tokens) // settings.context_tokens)
            perplexity = evaluate.measure_perplexity(source, tokens, settings.context_tokens, rows, measuring.chunk)
            divergence = None
        else:
            base = opened.enter_context(BaseLogits(Path(request.baseline)))
            measuring = _Measuring(request, job, base.shape.chunk_count)
            perplexity, divergence = _compare(request, source, base, text, rows, measuring)
        scores = try_tasks(source, model.name, request.tasks, measuring.task) if request.tasks else ()
        row = _row(request, source, measuring.chunk_count, perplexity, divergence, scores, time.monotonic() - began)
    job.row(row)
    return Outcome(summary=row.sentence)


class _Measuring:
    """Progress over chunks and tasks together; a task counts as its share of a chunk does in time, about a quarter."""

    def __init__(self, request: EvaluateRequest, job: RunningJob, chunk_count: int) -> None:
        self.chunk_count = chunk_count
        self._job = job
        self._tasks = len(request.tasks)
        self._task_chunks = TASK_CONTEXT_TOKENS / 4 / request.settings.context_tokens
        self._total = chunk_count + self._tasks * self._task_chunks

    def chunk(self, done: int, note: str) -> None:
        self._job.progress(done, self._total, CHUNKS, f"{done}/{self.chunk_count} chunks, {note}")

    def task(self, done: int, right: int) -> None:
        done_chunks = self.chunk_count + done * self._task_chunks
        self._job.progress(done_chunks, self._total, CHUNKS, f"{done}/{self._tasks} tasks, {right} right")


def _compare(
    request: EvaluateRequest, source: LogitSource, base: BaseLogits, text: str, rows: Rows, measuring: _Measuring
) -> tuple[Estimate, Divergence]:
    assert request.base is not None
    base.require(text_sha256=request.text.sha256, base_fingerprint=request.base.fingerprint)
    name = request.model.name
    common = evaluate.common_vocabulary(source.vocabulary_size, base, name)
    evaluate.require_same_tokens(source, base, text, name)
    assert base.description is not None
    return evaluate.compare(source, base, base.description.bos, common, rows, measuring.chunk)


def _row(
    request: EvaluateRequest,
    source: LogitSource,
    chunk_count: int,
    perplexity: Estimate,
    divergence: Divergence | None,
    scores: tuple[TaskScore, ...],
    seconds: float,
) -> QualityRow:
    model, context_tokens = request.model, request.settings.context_tokens
    return QualityRow(
        model_name=model.name,
        model_path=model.path,
        model_format=model.format,
        model_size_bytes=model.size_bytes,
        quant_type=model.quant_type,
        engine=source.engine,
        engine_version=source.engine_version,
        base_name=None if request.base is None else request.base.name,
        model_fingerprint=model.fingerprint,
        base_fingerprint="" if request.base is None else request.base.fingerprint,
        text_name=request.text.name,
        text_sha256=request.text.sha256,
        context_tokens=context_tokens,
        chunks=chunk_count,
        scored_tokens=chunk_count * (context_tokens - 1 - context_tokens // 2),
        perplexity=perplexity,
        divergence=divergence,
        tasks=scores,
        seconds=seconds,
        measured_at=time.time(),
    )
