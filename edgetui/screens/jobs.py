"""The Jobs screen: what runs, what is done, what was interrupted, and what can be done about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.binding import Binding
from textual.containers import Container
from textual.content import Content
from textual.widgets import DataTable, Static

from edgetui.core.failures import EdgetuiError
from edgetui.core.job_text import job_title
from edgetui.screens.job_screen import JobScreen
from edgetui.widgets.job_panel import JobPanel
from edgetui.widgets.job_table import JobTable

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from edgetui.core.jobs import JobRecord

_CLOCK_S = 1.0
"""How often times are brought up to date while a job runs."""


class JobsScreen(JobScreen):
    """List with the marked job's details below it or beside it."""

    MODE = "jobs"
    HELP = (
        "Jobs go on when edgetui or the terminal is closed, and are found here again. A job whose process was killed or"
        " crashed is interrupted: r runs it again, and a download goes on where it was; what others left is removed."
        " Removing a job keeps the file it made."
    )
    AUTO_FOCUS = "JobTable"
    HORIZONTAL_BREAKPOINTS = [(0, "-normal"), (130, "-wide")]  # noqa: RUF012 - Textual's own declaration
    DEFAULT_CSS = """
    JobsScreen #empty { height: auto; padding: 1 2; }
    JobsScreen #both { height: 1fr; layout: vertical; }
    JobsScreen JobTable { min-height: 4; }
    JobsScreen JobPanel { height: 55%; border-top: solid $primary; }
    JobsScreen.-wide #both { layout: horizontal; }
    JobsScreen.-wide JobTable { width: 3fr; }
    JobsScreen.-wide JobPanel { width: 2fr; height: 1fr; border-top: none; border-left: solid $primary; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open_result", "Open", priority=True, id="jobs.open"),
        Binding("p", "pause", "Pause", id="jobs.pause"),
        Binding("x,delete", "remove_job", "Remove", key_display="x", id="jobs.remove"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._records: tuple[JobRecord, ...] = ()

    def compose_body(self) -> ComposeResult:
        """List and details."""
        yield Static(
            Content("No jobs yet.\n\nPress 3 to quantize a model, or 5 to measure one."), id="empty", markup=False
        )
        with Container(id="both"):
            yield JobTable()
            yield JobPanel()

    def on_mount(self) -> None:
        """Time goes on while nothing else is new."""
        self._show_records()
        self.set_interval(_CLOCK_S, self._show_time)

    # --- keys ---------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer what can be done about the marked job."""
        if action == "open_result":
            return self.is_mounted and self.query_one(JobPanel).has_result
        if action == "pause":
            return self.is_mounted and self.job is not None and self.job.is_running and self.job.kind == "download"
        if action == "remove_job":
            return self.is_mounted and self.job is not None and not self.job.is_running
        return super().check_action(action, parameters)

    @work(group="job")
    async def action_pause(self) -> None:
        """End a download for now; what has come so far is kept."""
        if self.job is not None:
            try:
                await self.lab.jobs.pause(self.job.job_id)
            except EdgetuiError as error:
                self.show_failure(error)

    def action_remove_job(self) -> None:
        """Ask, then forget the job."""
        if self.job is not None:
            self._remove(self.job)

    @work(group="job")
    async def _remove(self, record: JobRecord) -> None:
        from edgetui.screens.confirm import ConfirmDialog

        keeps = "Its log goes; the file that it made stays." if record.state == "succeeded" else "Its log goes."
        if not await self.app.push_screen_wait(ConfirmDialog(f"Remove this job?  {job_title(record)}", keeps)):
            return
        try:
            await self.lab.jobs.remove(record.job_id)
        except EdgetuiError as error:
            self.show_failure(error)

    # --- what is shown ------------------------------------------------------------------------------------

    def take_jobs(self, records: tuple[JobRecord, ...]) -> None:
        """Show the jobs as they are now."""
        self._records = records
        self._show_records()

    def on_data_table_row_highlighted(self, _event: DataTable.RowHighlighted) -> None:
        """Another job's details."""
        self._show_marked()

    def _show_time(self) -> None:
        if self.is_current and any(record.is_running for record in self._records):
            self._show_records()

    def _show_records(self) -> None:
        self.query_one("#empty", Static).display = not self._records
        self.query_one("#both").display = bool(self._records)
        self.query_one(JobTable).show(self._records)
        self._show_marked()

    def _show_marked(self) -> None:
        record = self.query_one(JobTable).marked
        if record != self.job or (record is not None and record.is_running):
            self.show_job(record)
