"""The list of jobs: one row each, only changed cells drawn again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.text import Text

from edgetui.core.job_text import STATE_SIGNS, STATE_WORDS, job_rate, share_done, time_left
from edgetui.core.plain_text import plain_line
from edgetui.core.units import MISSING, format_duration
from edgetui.widgets.row_table import RowTable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual import events

    from edgetui.core.jobs import JobRecord

_WIDTHS = {"State": 14, "Job": 20, "Done": 6, "Rate": 12, "Started": 8, "Time": 12}
"""Columns and their cells; the job's takes what is left."""
_FIGURES = ("Done", "Rate", "Time")
_ROOM_FOR_RATE = 100


class JobTable(RowTable):
    """Keeps the marked job marked when others come and go."""

    DEFAULT_CSS = """
    JobTable { height: 1fr; background: $background; scrollbar-size-horizontal: 0; }
    JobTable:ansi > .datatable--cursor { color: ansi_default; background: ansi_default; text-style: bold reverse; }
    JobTable:ansi > .datatable--header { color: ansi_default; background: ansi_default; text-style: bold; }
    """

    def __init__(self) -> None:
        super().__init__(cell_padding=0)
        self._records: tuple[JobRecord, ...] = ()
        self._listed: list[str] = []
        self._widths: dict[str, int] = {}

    @property
    def marked(self) -> JobRecord | None:
        """The job under the cursor."""
        row = self.cursor_row
        return self._records[row] if 0 <= row < len(self._records) else None

    def show(self, records: Sequence[JobRecord]) -> None:
        """List these jobs."""
        marked = self.marked
        self._records = tuple(records)
        if not self._widths:
            # The first layout asks again.
            return
        now = time.time()
        ids = [record.job_id for record in records]
        if ids != self._listed:
            self._list_anew(now)
            if marked is not None and marked.job_id in ids:
                self.move_cursor(row=ids.index(marked.job_id))
            return
        for record in records:
            for name, cell in _cells(record, now, self._widths).items():
                if self.get_cell(record.job_id, name) != cell:
                    self.update_cell(record.job_id, name, cell)

    def on_resize(self, event: events.Resize) -> None:
        """Columns that fill the width."""
        widths = _widths_for(event.size.width)
        if widths != self._widths:
            self._widths = widths
            self._listed = []
            self.show(self._records)

    def _list_anew(self, now: float) -> None:
        self._listed = [record.job_id for record in self._records]
        self.clear(columns=True)
        for name, width in self._widths.items():
            # A column of words after one of figures needs a gap.
            title = Text(name, justify="right") if name in _FIGURES else Text(f" {name}" if name == "Started" else name)
            self.add_column(title, width=width, key=name)
        for record in self._records:
            self.add_row(*_cells(record, now, self._widths).values(), key=record.job_id)


def _widths_for(room: int) -> dict[str, int]:
    widths = {name: width for name, width in _WIDTHS.items() if name != "Rate" or room >= _ROOM_FOR_RATE}
    widths["Job"] += max(0, room - sum(widths.values()) - 2)
    return widths


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
