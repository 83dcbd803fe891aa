"""The samples of a soak as they come, with their energy, and as the database keeps them however the job ends."""

from __future__ import annotations

import threading
import time
from bisect import bisect_right
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from edgetui.core.failures import EdgetuiError
from edgetui.core.soak import cut_sentence, find_knee, soak_sentence
from edgetui.core.studies import SoakResult
from edgetui.core.units import counted, format_duration
from edgetui.store.studies import Studies
from edgetui.worker.runners.bench import CPU
from edgetui.worker.runners.kept_study import energy_use

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetui.core.studies import EnergyUse, SoakSample
    from edgetui.engines.measuring import RunnerFacts
    from edgetui.meters.recorder import EnergyRecorder
    from edgetui.worker.requests import SoakRequest
    from edgetui.worker.runners import RunningJob

KEEP_S = 10.0
"""Between two times that a growing series is kept, at least."""
KEEP_SHARE = 0.1
"""Of the time so far: a long series, which takes longer to write, is kept less often."""
NOT_ENDED = "the job had come so far when this was kept, and was ended without a word if it does not run any more"


class SoakSeries:
    """Filled by the runner's thread; `cut` may come from another one meanwhile."""

    def __init__(
        self,
        request: SoakRequest,
        job: RunningJob,
        meters: EnergyRecorder,
        rest_w: float | None,
        facts: RunnerFacts,
        chunk_tokens: int,
    ) -> None:
        self._request = request
        self._job = job
        self._meters = meters
        self._rest_w = rest_w
        self._facts = facts
        self.chunk_tokens = chunk_tokens
        self._studies = Studies(job.database)
        # Never held while the job's own lock is waited for: a cancellation holds that one when it calls `cut`.
        self._lock = threading.Lock()
        self._samples: list[SoakSample] = []
        self._spans: list[tuple[float, float]] = []
        self._moments: list[float] = []
        """When the meters were read at the ends of samples."""
        self._study_id: int | None = None
        self._is_closed = False
        self._keep_at_s = 0.0

    def begin(self) -> float:
        """The moment that samples are counted from."""
        self._moments.append(self._meters.sample())
        return time.perf_counter()

    def add(self, sample: SoakSample, spans: Sequence[tuple[float, float]]) -> SoakSample:
        """Take a sample with the spans of its chunks; gives it with its power, where that is known."""
        self._moments.append(self._meters.sample())
        sample = msgspec.structs.replace(sample, watts=self._watts())
        with self._lock:
            self._samples.append(sample)
            self._spans += spans
            if sample.at_s >= self._keep_at_s and not self._is_closed:
                self._keep_at_s = sample.at_s + max(KEEP_S, KEEP_SHARE * sample.at_s)
                # A disk that is full for a moment must not end a soak: the next time keeps all of it.
                with suppress(EdgetuiError):
                    self._write(self._result(NOT_ENDED))
        return sample

    def cut(self, why: str) -> str:
        """Keep what there is; says in a sentence what that is, and nothing where there is nothing."""
        with self._lock:
            if not self._samples or self._is_closed:
                return ""
            self._is_closed = True
            result = self._result(why)
            self._write(result)
        self._job.study(result)
        count = len(result.samples)
        lasted = format_duration(result.samples[-1].at_s)
        return f"What was measured in {lasted} is kept ({counted(count, 'sample')})."

    def finish(self) -> SoakResult:
        """Keep all of it; from here on the job can no longer be cancelled."""
        self._job.finishing()
        with self._lock:
            self._is_closed = True
            result = self._result("")
            self._write(result)
        self._job.study(result)
        return result

    def _write(self, result: SoakResult) -> None:
        at = time.time()
        if self._study_id is None or not self._studies.replace(self._study_id, result, at):
            self._study_id = self._studies.add(result, self._request.machine, self._job.folder.owner_id, at)

    def _result(self, cut_short: str) -> SoakResult:
        settings = self._request.settings
        knee = find_knee(self._samples)
        told = soak_sentence(self._samples, knee)
        if cut_short:
            told = f"{cut_sentence(self._samples, settings.duration_s, cut_short)} {told}"
        return SoakResult(
            side=self._request.side,
            duration_s=settings.duration_s,
            chunk_tokens=self.chunk_tokens,
            depth_tokens=settings.depth_tokens,
            samples=tuple(self._samples),
            knee=knee,
            sentence=told,
            cut_short=cut_short,
            energy=self._energy(),
            threads=self._facts.threads,
            use_mmap=self._facts.use_mmap,
            huge_pages=self._facts.huge_pages,
            backend=self._facts.backend,
            engine_version=self._facts.engine_version,
            sample_s=settings.sample_s,
        )

    def _energy(self) -> EnergyUse:
        tokens = len(self._spans) * self.chunk_tokens
        return energy_use(self._meters, self._spans, tokens, self._rest_w, self._facts.backend)

    def _watts(self) -> float | None:
        """Mean power up to now of the fewest samples that the meter can tell."""
        now = self._moments[-1]
        first = bisect_right(self._moments, now - self._meters.least_s) - 1
        if first < 0 or not self._meters.meter:
            return None
        began = self._moments[first]
        energy = self._meters.energy_of_work([(began, now)], is_on_processor=self._facts.backend == CPU)
        return None if energy.joules is None else energy.joules / (now - began)
