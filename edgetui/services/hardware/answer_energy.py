"""What an answer takes in energy, by the meters of this machine; without holding up the event loop."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from edgetui.meters.recorder import Energy, EnergyRecorder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CPU = "CPU"
"""The engines' name of the processor."""


class AnswerEnergy:
    """Follows the meters while something runs here; for one answer at a time, since a meter tells no one's share."""

    def __init__(self) -> None:
        self._recorder: EnergyRecorder | None = None

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Inside, the meters are read again and again, where there are any."""
        if self._recorder is None:
            # It may ask drivers that take their time.
            self._recorder = await asyncio.to_thread(EnergyRecorder)
        recorder = self._recorder
        following = recorder.following()
        await asyncio.to_thread(following.__enter__)
        try:
            yield
            if recorder.meter:
                # The reading that closes the last span.
                await asyncio.to_thread(recorder.sample)
        finally:
            await asyncio.to_thread(following.__exit__, None, None, None)

    def between(self, began_s: float, ended_s: float, backend: str) -> Energy:
        """Joules between two times of `time.perf_counter`, after what was followed, of an engine on this backend."""
        recorder = self._recorder
        if recorder is None:
            return Energy(None, "", "no meter was read")
        if recorder.is_gpu_alone and backend == CPU:
            return Energy(None, "", f"{recorder.meter} has a meter, and the processor has none")
        return recorder.energy([(began_s, ended_s)])
