"""What the screens that show a job have in common: following it, and what can be done about it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from textual import work
from textual.binding import Binding

from edgetui.core.failures import EdgetuiError
from edgetui.core.job_text import job_title
from edgetui.screens.base import LabScreen
from edgetui.widgets.job_panel import SHOWN_IN, JobPanel

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.binding import BindingType

    from edgetui.core.jobs import JobRecord

LOG_LINES = 100
"""More than any screen has rows for."""


class JobScreen(LabScreen):
    """Subclasses compose one `JobPanel` and implement `take_jobs`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "cancel_job", "Cancel", id="job.cancel"),
        Binding("r", "restart_job", "Restart", id="job.restart"),
        Binding("b", "bench_result", "Bench it", id="job.bench"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._unsubscribe: Callable[[], None] = lambda: None

    def on_mount(self) -> None:
        """Follow the jobs."""
        self._unsubscribe = self.lab.jobs.changed.subscribe(self.take_jobs)
        self._look()

    def on_unmount(self) -> None:
        """Stop following."""
        self._unsubscribe()

    def take_jobs(self, records: tuple[JobRecord, ...]) -> None:
        """The jobs as they are now."""
        raise NotImplementedError

    @property
    def job(self) -> JobRecord | None:
        """The job in the panel."""
        return self.query_one(JobPanel).record

    def show_job(self, record: JobRecord | None) -> None:
        """Put a job into the panel, and its log after it."""
        panel = self.query_one(JobPanel)
        same = record is not None and panel.record is not None and record.job_id == panel.record.job_id
        panel.show(record, panel.log_lines if same else ())
        self.refresh_bindings()
        if record is not None:
            self._read_log(record)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer what can be done about the job in the panel."""
        if action in ("cancel_job", "restart_job", "bench_result"):
            if not self.is_mounted or self.job is None:
                return False
            if action == "cancel_job":
                return self.job.is_running
            if action == "restart_job":
                return self.job.state in ("interrupted", "failed", "cancelled")
            return self.query_one(JobPanel).made_a_model
        return super().check_action(action, parameters)

    def action_cancel_job(self) -> None:
        """Ask, then end the job."""
        if self.job is not None:
            self._cancel(self.job)

    def action_restart_job(self) -> None:
        """Run it again."""
        if self.job is not None:
            self._restart(self.job.job_id)

    def action_bench_result(self) -> None:
        """Measure what was made."""
        self._open_model_made("bench")

    def on_job_panel_result_asked(self, _message: JobPanel.ResultAsked) -> None:
        """Enter on a job that is done."""
        self.action_open_result()

    def action_open_result(self) -> None:
        """Run the model that was made, or show what was measured."""
        if self.query_one(JobPanel).made_a_model:
            self._open_model_made("run")
        elif self.job is not None and self.job.kind in SHOWN_IN:
            self.lab_app.open_mode(SHOWN_IN[self.job.kind].lower())

    @work(group="job")
    async def _cancel(self, record: JobRecord) -> None:
        from edgetui.screens.confirm import ConfirmDialog

        loses = "What it has written so far is removed." if record.output else "What was measured so far is kept."
        if not await self.app.push_screen_wait(ConfirmDialog(f"Cancel this job?  {job_title(record)}", loses)):
            return
        try:
            await self.lab.jobs.cancel(record.job_id)
        except EdgetuiError as error:
            self.show_failure(error)

    @work(group="job")
    async def _restart(self, job_id: str) -> None:
        try:
            await self.lab.jobs.restart(job_id)
        except EdgetuiError as error:
            self.show_failure(error)

    @work(group="job", exclusive=True)
    async def _open_model_made(self, mode: Literal["run", "bench"]) -> None:
        if self.job is None or self.job.output is None:
            return
        try:
            entries = await self.lab.catalog.scan()
            output = Path(self.job.output)
            # What a toolchain makes is a folder, and a model's path that of its first file.
            made = next((entry for entry in entries if output in (entry.path, entry.path.parent)), None)
            entry = made or await self.lab.catalog.find(self.job.output)
        except EdgetuiError as error:
            self.show_failure(error)
            return
        if mode == "run" and entry.format == "safetensors":
            from edgetui.screens.convert import ConvertScreen

            self.app.push_screen(ConvertScreen(entry))
        elif mode == "run" and not entry.can_run:
            # No chat runs it, but what it lost can be measured.
            from edgetui.screens.quality import QualityScreen

            self.app.push_screen(QualityScreen(entry))
        else:
            await self.lab_app.open_model_in(mode, entry)

    @work(group="look", exclusive=True)
    async def _look(self) -> None:
        try:
            self.take_jobs(await self.lab.jobs.list())
        except EdgetuiError as error:
            self.show_failure(error)

    @work(group="log", exclusive=True)
    async def _read_log(self, record: JobRecord) -> None:
        try:
            log = await self.lab.jobs.log_tail(record.job_id, LOG_LINES)
        except EdgetuiError:
            # It was removed meanwhile; the list says so.
            return
        panel = self.query_one(JobPanel)
        if panel.record is not None and panel.record.job_id == record.job_id:
            panel.show(panel.record, log)
