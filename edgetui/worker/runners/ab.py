"""The job that compares two sides; each also leaves a row in the history."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edgetui.engines.measuring import RunnerFacts, row_of
from edgetui.engines.reporting import Outcome
from edgetui.store.history import History
from edgetui.worker.runners.alternating import Alternation
from edgetui.worker.runners.kept_study import keep_study

if TYPE_CHECKING:
    from edgetui.worker.requests import AbRequest
    from edgetui.worker.runners import RunningJob

BLOCKS = "blocks"


def run(request: AbRequest, job: RunningJob) -> Outcome:
    """Measure both sides alternately and tell which is faster, where one is."""
    settings = request.settings
    alternation = Alternation(request.a, request.b, settings, Path(job.folder.order().toolchains))

    def say(done: int, note: str) -> None:
        job.progress(done, max(done, settings.blocks), BLOCKS, note)

    result = alternation.run(say)
    keep_study(result, request.machine, job)
    history = History(job.database)
    for number, side in enumerate((request.a, request.b)):
        facts = msgspec.convert(alternation.facts[number], dict)
        row = msgspec.structs.replace(
            row_of(
                RunnerFacts(**facts),
                settings.test,
                alternation.samples[number],
                Path(side.model_path),
                side.model_name,
            ),
            fingerprint=side.fingerprint,
            conditions=result.conditions,
        )
        history.add(row, request.machine, job.folder.owner_id)
        job.row(row)
    return Outcome(summary=result.sentence)
