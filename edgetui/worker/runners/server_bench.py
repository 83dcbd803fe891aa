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

if TYPE_CHECKING:
    from edgetui.worker.requests import ServerBenchRequest
    from edgetui.worker.runners import RunningJob


def run(request: ServerBenchRequest, job: RunningJob) -> Outcome:
    """Measure each level up to one that gets no answer; raises `EdgetuiError` where there is none from the start."""
    settings = request.settings
    total = sum(level * settings.requests for level in settings.concurrency)
    job.progress(0, total, "requests", "asking who it is, and one question to warm up")
    load_average = host.load_average()
    test = LoadTest(request.endpoint, find_key(request.endpoint), settings)
    try:
        test.warm_up()
        rows = []
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
    result = ServerLoadResult(
        endpoint=request.endpoint,
        server=test.server,
        model=test.model,
        settings=settings,
        rows=tuple(rows),
        load_average=load_average,
        sentence=summary_of(rows),
    )
    Studies(job.database).add(result, request.machine, job.folder.job_id, time.time())
    job.study(result)
    return Outcome(summary=f"{request.endpoint.name}: {result.sentence}")
