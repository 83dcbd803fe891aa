"""The measurement that the Bench screen started or found: its start, progress, end, and stopping it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from textual import work
from textual.widgets import Static

from edgetui.core.failures import EdgetuiError
from edgetui.core.jobs import CANCELLED
from edgetui.core.plain_text import plain_line
from edgetui.core.units import format_duration
from edgetui.screens.base import LabScreen
from edgetui.widgets.bars import default_glyphs, meter
from edgetui.worker.job_events import JobFailed

if TYPE_CHECKING:
    import msgspec

    from edgetui.core.jobs import JobRecord
    from edgetui.core.models import ModelEntry

_BAR_CELLS = 24


class BenchRunning(LabScreen):
    """Base of the Bench screen, which has lines `#progress` and, for what came out last, `#result`."""

    def __init__(self) -> None:
        super().__init__()
        self._job: JobRecord | None = None

    @work(group="cancel")
    async def action_cancel(self) -> None:
        """Stop the measurement under way; rows that are complete stay."""
        if self._job is not None:
            try:
                await self.lab.jobs.cancel(self._job.job_id)
            except EdgetuiError as error:
                self.show_failure(error)

    @work(exclusive=True, group="start")
    async def start_workload(self, entry: ModelEntry, form: msgspec.Struct) -> None:
        """Start what a form says, and follow it."""
        from edgetui.screens.bench_workloads import start

        self.clear_failure()
        self.say("Starting...")
        try:
            job = await start(self, entry, form)
        except EdgetuiError as error:
            self.say("")
            self.show_failure(error)
            return
        self.follow(job)

    @work(exclusive=True, group="find")
    async def find_running(self) -> None:
        """Follow a measurement that runs already."""
        for job in await self.lab.jobs.list():
            if job.kind == "bench" and job.is_running and self._job is None:
                self.follow(job)

    @work(exclusive=True, group="follow")
    async def follow(self, job: JobRecord) -> None:
        """Show how it goes and how it ends."""
        self._job = job
        self._show_result("")
        self.refresh_bindings()
        try:
            last = await self.lab.bench.follow(job.job_id)
        except EdgetuiError as error:
            self.show_failure(error)
            self.say("")
        else:
            if isinstance(last, JobFailed):
                kept = "complete rows are kept." if last.failure.message == CANCELLED else last.failure.message
                self.say("")
                self._show_result(plain_line(f"Stopped: {kept}") if last.failure.kind == "cancelled" else "")
                if last.failure.kind != "cancelled":
                    self.show_failure(last.failure)
            else:
                self.say("")
                self._show_result(plain_line(last.summary))
        finally:
            self._job = None
            self.refresh_bindings()

    def take_jobs(self, records: tuple[JobRecord, ...]) -> None:
        """Show how far the measurement is."""
        job = next((record for record in records if self._job and record.job_id == self._job.job_id), None)
        if job is None or not job.is_running:
            return
        bar, track = meter(job.fraction, _BAR_CELLS, default_glyphs())
        left = job.remaining_s(time.time())
        rest = f", {format_duration(left)} left" if left else ""
        self.say(f"{bar}{track} {int(job.done or 0)}/{job.total or 0:.0f}{rest}  {plain_line(job.note)}")

    def say(self, text: str) -> None:
        """Show a sentence that is no failure."""
        for line in self.query("#progress").results(Static):
            line.update(text)

    def _show_result(self, text: str) -> None:
        """What the last measurement came to, which stays until the next one starts, whatever else is said."""
        for line in self.query("#result").results(Static):
            line.update(text)
            line.display = bool(text)
