"""Keeping what a measurement of several parts found, in the database and in the job's journal; and its energy."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from edgetui.core.studies import EnergyUse
from edgetui.store.studies import Studies
from edgetui.worker.runners.bench import CPU

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetui.core.bench import Machine
    from edgetui.core.studies import StudyResult
    from edgetui.meters.recorder import EnergyRecorder
    from edgetui.worker.runners import RunningJob


def keep_study(result: StudyResult, machine: Machine, job: RunningJob) -> None:
    """Keep it; the job can no longer be cancelled from here on."""
    job.finishing()
    Studies(job.database).add(result, machine, job.folder.owner_id, time.time())
    job.study(result)


def energy_use(
    meters: EnergyRecorder, spans: Sequence[tuple[float, float]], tokens: int, rest_w: float | None, backend: str
) -> EnergyUse:
    """What spans of work took, in which so many tokens were computed by a backend of `BenchRow`."""
    energy = meters.energy_of_work(spans, is_on_processor=backend.upper() == CPU)
    return EnergyUse(
        joules=energy.joules,
        tokens=tokens,
        meter=energy.meter,
        reason=energy.reason,
        rest_w=None if energy.joules is None else rest_w,
    )
