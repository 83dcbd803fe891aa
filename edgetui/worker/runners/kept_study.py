"""Keeping what a measurement of several parts found: in the database and in the job's journal."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from edgetui.store.studies import Studies

if TYPE_CHECKING:
    from edgetui.core.bench import Machine
    from edgetui.core.studies import StudyResult
    from edgetui.worker.runners import RunningJob


def keep_study(result: StudyResult, machine: Machine, job: RunningJob) -> None:
    """Keep it; the job can no longer be cancelled from here on."""
    job.finishing()
    Studies(job.database).add(result, machine, job.folder.owner_id, time.time())
    job.study(result)
