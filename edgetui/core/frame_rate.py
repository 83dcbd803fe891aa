"""How often to repaint while tokens stream."""

from __future__ import annotations

import os

WITH_A_CORE_TO_SPARE = 12
"""Frames a second that look fluid; they cost the decode nothing when it leaves a processor free."""
WITHOUT = 3
"""Frames a second when every processor decodes: each frame then stops the decode for as long as it takes."""


def usable_processors() -> int:
    """Logical processors that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def frames_per_second(wanted: int, threads: int, processors: int) -> int:
    """What the settings ask for, or, for 0, what suits so many decode threads on so many usable processors."""
    if wanted:
        return wanted
    return WITH_A_CORE_TO_SPARE if processors > threads else WITHOUT
