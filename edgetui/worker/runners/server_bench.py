"""The job that measures a server under load; the result goes to the journal and to the database."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from edgetui.core.failures import EdgetuiError
from edgetui.core.server_load import ServerLoadResult, summary_of
from edgetui.engines import host
from edgetui.engines.reporting import Outcome
from edgetui.engines.server.load_test import LoadTest
from edgetui.store.server_keys import find_key
from edgetui.store.studies import Studies
from edgetui.worker.runners.kept_study import keep_study

if TYPE_CHECKING:
    from edgetui.core.server_load import ServerLoadRow
    from edgetui.worker.requests import ServerBenchRequest
    from edgetui.worker.runners import RunningJob


def run(request: ServerBenchRequest, job: RunningJob) -> Outcome:
    """Measure each level up to one that gets no answer; raises `EdgetuiError` where there is none from the start."""
    settings = request.settings
    total = sum(level * settings.requests for level in settings.concurrency)
    job.progress(0, total, "requests", "asking who it is, and one question to warm up")
    load_average = host.load_average()
    test = LoadTest(request.endpoint, find_key(request.endpoint), settings)
    rows: list[ServerLoadRow] = []

    def found(sentence: str) -> ServerLoadResult:
        return ServerLoadResult(
            endpoint=request.endpoint,
            server=test.server,
            model=test.model,
            settings=settings,
            rows=tuple(rows),
            load_average=load_average,
            sentence=sentence,
        )

    def keep_cut(why: str) -> str:
        if not rows:
            return ""
        kept = f"{len(rows)} of {len(settings.concurrency)} levels"
        result = found(f"{summary_of(rows)} Only {kept} were measured: {why}.")
        Studies(job.database).add(result, request.machine, job.folder.owner_id, time.time())
        job.study(result)
        return f"What was measured is kept: {kept}."

    job.when_cut(keep_cut)
    try:
        test.warm_up()
        before = 0
        for level in settings.concurrency:

            def report(done: int, before: int = before, level: int = level) -> None:
                job.progress(before + done, total, "requests", f"{level} at once")

            rows.append(test.measure(level, report))
            before += level * settings.requests
            if rows[-1].is_lost:
                break
    finally:
        test.close()
    if all(row.is_lost for row in rows):
        # There is no figure to keep.
        raise EdgetuiError("network", rows[0].problem)
    result = found(summary_of(rows))
    keep_study(result, request.machine, job)
    return Outcome(summary=f"{request.endpoint.name}: {result.sentence}")
