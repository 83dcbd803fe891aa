"""The job that compares two sides; each also leaves a row in the history."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edgetui.engines.measuring import RunnerFacts, row_of
from edgetui.engines.reporting import Outcome
from edgetui.meters.recorder import EnergyRecorder
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

    def say(done: int, note: str) -> None:
        job.progress(done, max(done, settings.blocks), BLOCKS, note)

    meters = EnergyRecorder()
    with meters.following():
        rest_w = meters.power_at_rest()
        toolchains = Path(job.folder.order().toolchains)
        alternation = Alternation(request.a, request.b, settings, toolchains, meters, rest_w)
        result = alternation.run(say)
    keep_study(result, request.machine, job)
    history = History(job.database)
    for number, (side, energy) in enumerate(((request.a, result.a_energy), (request.b, result.b_energy))):
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
            energy_j=energy.joules,
            energy_meter=energy.meter,
            energy_reason=energy.reason,
            rest_w=energy.rest_w,
        )
        history.add(row, request.machine, job.folder.owner_id)
        job.row(row)
    return Outcome(summary=result.sentence)
