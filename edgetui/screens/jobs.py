"""The Jobs screen: what runs, what is done, what was interrupted, and what can be done about it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import work
from textual.binding import Binding
from textual.containers import Container
from textual.content import Content
from textual.widgets import DataTable, Static

from edgetui.core.failures import EdgetuiError
from edgetui.core.job_text import STATE_SIGNS, STATE_WORDS, job_rate, job_title, share_done, time_left
from edgetui.core.plain_text import plain_line
from edgetui.core.units import MISSING, format_duration
from edgetui.screens.job_screen import JobScreen
from edgetui.widgets.job_panel import JobPanel

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from edgetui.core.jobs import JobRecord

_WIDTHS = {"State": 14, "Job": 20, "Done": 6, "Rate": 12, "Started": 8, "Time": 12}
"""Columns and their cells; the job's takes what is left."""
_FIGURES = ("Done", "Rate", "Time")
_ROOM_FOR_RATE = 100
_LOOKED_AT_EVERY_S = 1.0
_LAYOUT_TAKES_S = 0.03
"""How long to wait for the width of a table that was just shown."""


class JobsScreen(JobScreen):
    """List with the marked job's details below it or beside it."""

    MODE = "jobs"
    HELP = (
        "Jobs go on when edgetui or the terminal is closed, and are found here again. A job whose process was killed or"
        " crashed is interrupted: what it left is removed, and r runs it again. Removing a job keeps the file it made."
    )
    AUTO_FOCUS = "DataTable"
    HORIZONTAL_BREAKPOINTS = [(0, "-normal"), (130, "-wide")]  # noqa: RUF012 - Textual's own declaration
    DEFAULT_CSS = """
    JobsScreen #empty { height: auto; padding: 1 2; }
    JobsScreen #both { height: 1fr; layout: vertical; }
    JobsScreen DataTable { height: 1fr; min-height: 4; background: $background; scrollbar-size-horizontal: 0; }
    JobsScreen JobPanel { height: 55%; border-top: solid $primary; }
    JobsScreen.-wide #both { layout: horizontal; }
    JobsScreen.-wide DataTable { width: 3fr; height: 1fr; }
    JobsScreen.-wide JobPanel { width: 2fr; height: 1fr; border-top: none; border-left: solid $primary; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "run_result", "Run it", priority=True, id="jobs.run"),
        Binding("x,delete", "remove_job", "Remove", key_display="x", id="jobs.remove"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._records: tuple[JobRecord, ...] = ()
        self._rows: list[str] = []

    def compose_body(self) -> ComposeResult:
        """List and details."""
        yield Static(
            Content("No jobs yet.\n\nPress 3 to quantize a model, or 5 to measure one."), id="empty", markup=False
        )
        with Container(id="both"):
            yield DataTable(cursor_type="row", zebra_stripes=False, cell_padding=0)
            yield JobPanel()

    def on_mount(self) -> None:
        """Time goes on while nothing else is new."""
        self._show_records()
        self.set_interval(_LOOKED_AT_EVERY_S, self._show_time)

    def on_screen_resume(self) -> None:
        """Show what came while another screen was in front."""
        if self.is_mounted:
            self._show_records()

    # --- keys ---------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer what can be done about the marked job."""
        if action == "run_result":
            return self.is_mounted and self.query_one(JobPanel).made_a_model
        if action == "remove_job":
            return self.is_mounted and self.job is not None and not self.job.is_running
        return super().check_action(action, parameters)

    def action_run_result(self) -> None:
        """Enter on a job that is done."""
        self.open_result("run")

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

    def on_resize(self) -> None:
        """Another width for the job's own column."""
        self._rows = []
        self.call_after_refresh(self._show_records)

    def _show_time(self) -> None:
        if self.is_current and any(record.is_running for record in self._records):
            self._show_records()

    def _show_records(self) -> None:
        """Fill the table; cells that stay as they are are not drawn again."""
        self.query_one("#empty", Static).display = not self._records
        self.query_one("#both").display = bool(self._records)
        table = self.query_one(DataTable)
        if self._records and not table.size.width:
            # It has just come into sight: its columns can be laid out once it has its width. Asked for after the next
            # refresh, that would come round without ever letting the layout take its turn.
            if self.is_current:
                self.set_timer(_LAYOUT_TAKES_S, self._show_records)
            return
        ids = [record.job_id for record in self._records]
        now = time.time()
        if ids != self._rows:
            marked = self._rows[table.cursor_row] if 0 <= table.cursor_row < len(self._rows) else None
            self._rows = ids
            table.clear(columns=True)
            widths = self._widths(table)
            for name, width in widths.items():
                title = (
                    Text(name, justify="right") if name in _FIGURES else Text(f" {name}" if name == "Started" else name)
                )
                table.add_column(title, width=width, key=name)
            for record in self._records:
                table.add_row(*_cells(record, now, widths).values(), key=record.job_id)
            if marked in ids:
                table.move_cursor(row=ids.index(marked))
        else:
            widths = self._widths(table)
            for record in self._records:
                for name, cell in _cells(record, now, widths).items():
                    if table.get_cell(record.job_id, name) != cell:
                        table.update_cell(record.job_id, name, cell)
        self._show_marked()

    def _widths(self, table: DataTable[Text]) -> dict[str, int]:
        room = table.size.width
        widths = {name: width for name, width in _WIDTHS.items() if name != "Rate" or room >= _ROOM_FOR_RATE}
        widths["Job"] += max(0, room - sum(widths.values()) - 2)
        return widths

    def _show_marked(self) -> None:
        row = self.query_one(DataTable).cursor_row
        record = self._records[row] if 0 <= row < len(self._records) else None
        if record != self.job or (record is not None and record.is_running):
            self.show_job(record)


def _cells(record: JobRecord, now: float, widths: dict[str, int]) -> dict[str, Text]:
    """One row; `Text` so that nothing in a name is taken for markup."""
    left = time_left(record, now)
    texts = {
        "State": f"{STATE_SIGNS[record.state]} {STATE_WORDS[record.state]}",
        "Job": plain_line(f"{record.goal} of {record.subject}")[: widths["Job"] - 1],
        "Done": share_done(record) if record.is_running else MISSING,
        "Rate": job_rate(record) if record.is_running else MISSING,
        "Started": f" {_clock(record.started_at or record.created_at, now)}",
        "Time": f"{left} left" if left != MISSING else _whole_seconds(record.duration_s(now)),
    }
    return {name: Text(texts[name], justify="right" if name in _FIGURES else "left") for name in widths}


def _clock(at: float, now: float) -> str:
    """Time of a moment today, date of an earlier one."""
    then = time.localtime(at)
    return time.strftime("%H:%M" if time.localtime(now)[:3] == then[:3] else "%b %d", then)


def _whole_seconds(seconds: float | None) -> str:
    if seconds is None or seconds >= 60:
        return format_duration(seconds)
    return f"{seconds:.0f} s" if seconds >= 1 else "<1 s"
