"""The Bench screen: measure a model, keep the rows, compare two of them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar

import msgspec
from rich.text import Text
from textual import work
from textual.binding import Binding
from textual.containers import Container
from textual.coordinate import Coordinate
from textual.widgets import DataTable, Input, Static

from edgetui.core.bench import BenchSettings
from edgetui.core.bench_table import HEADINGS, cells
from edgetui.core.failures import EdgetuiError
from edgetui.core.plain_text import plain_line
from edgetui.core.run_settings import KV_CACHE_TYPES
from edgetui.core.units import format_duration
from edgetui.screens.base import LabScreen
from edgetui.services.bench import compare
from edgetui.widgets.bars import default_glyphs, meter
from edgetui.widgets.bench_bars import BenchBars
from edgetui.widgets.filter_input import FilterInput
from edgetui.widgets.row_table import RowTable
from edgetui.worker.protocol import JobFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from edgetui.core.bench import BenchRecord
    from edgetui.core.jobs import JobRecord
    from edgetui.core.models import ModelEntry

_ORDER = tuple(
    HEADINGS.index(name)
    for name in ("model", "test", "t/s", "type", "threads", "kv", "size", "params", "engine", "measured")
)
"""llama-bench's columns, with those that people look for where 80 cells still show them."""
_MARK = "*"
_MOST_ROWS = 200
"""In the table at once: filling one with all rows of a long history would hold up the keys."""
_BAR_CELLS = 24
_MOST_BARS = 6


class BenchScreen(LabScreen):
    """Settings and progress on top, the history below, bars of what compares at the bottom."""

    MODE = "bench"
    HELP = (
        "pp N is prefill of N prompt tokens, tg N is decode of N tokens one by one, as llama-bench measures them: one"
        " warm-up, then the repetitions; t/s is their mean and standard deviation. Mark two rows of the same test with"
        " space and press c: the interval says whether a difference is shown at all."
    )
    AUTO_FOCUS = "DataTable"
    DEFAULT_CSS = """
    BenchScreen #setup { height: auto; max-height: 2; }
    BenchScreen #progress { height: 1; color: $text-muted; text-wrap: nowrap; text-overflow: ellipsis; }
    BenchScreen #empty { display: none; height: 1fr; padding: 1 2; }
    BenchScreen #history { height: 1fr; }
    BenchScreen #more { display: none; height: 1; color: $text-muted; }
    BenchScreen DataTable { height: 1fr; background: $background; scrollbar-size-horizontal: 1; }
    BenchScreen BenchBars { border-top: solid $primary; max-height: 10; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "start", "Measure", priority=True, id="bench.start"),
        Binding("m,ctrl+o", "choose_model", "Model", id="bench.model"),
        Binding("e", "edit_settings", "Settings", id="bench.settings"),
        Binding("k", "cancel", "Stop", id="bench.cancel"),
        Binding("space", "mark", "Mark", id="bench.mark"),
        Binding("c", "compare", "Compare", id="bench.compare"),
        Binding("slash", "filter", "Filter", key_display="/", id="bench.filter"),
        Binding("x", "remove", "Delete", id="bench.remove"),
        Binding("ctrl+e", "repeat", "Repeat elsewhere", show=False, id="bench.repeat"),
    ]

    def __init__(self) -> None:
        super().__init__()
        load = self.lab.settings.load
        self._entry: ModelEntry | None = None
        self._settings = BenchSettings(
            # Not the chat's batch: the defaults are llama-bench's, so that figures compare with its.
            threads=load.threads,
            kv_cache_type=load.kv_cache_type,
        )
        self._job: JobRecord | None = None
        self._records: list[BenchRecord] = []
        self._shown: list[BenchRecord] = []
        self._marked: list[int] = []
        self._comparison = ""
        self._to_remove: int | None = None
        self._unsubscribe: list[Callable[[], None]] = []

    def compose_body(self) -> ComposeResult:
        """Setup, progress, history, bars."""
        yield Static(id="setup", markup=False)
        yield Static(id="progress", markup=False)
        yield FilterInput("filter by model, type or test; esc clears")
        yield Static(
            "Nothing has been measured yet.\n\nPress m to choose a model, then enter to measure it.",
            id="empty",
            markup=False,
        )
        with Container(id="history"):
            yield RowTable()
            yield Static(id="more", markup=False)
        yield BenchBars()

    def on_mount(self) -> None:
        """Show the history and whatever measurement runs already."""
        self.query_one(DataTable).add_columns("", *(HEADINGS[column] for column in _ORDER))
        self._unsubscribe = [
            self.lab.bench.changed.subscribe(self._on_new_rows),
            self.lab.jobs.changed.subscribe(self._take_jobs),
        ]
        self._show_setup()
        self._read_history()
        self._find_running()

    def on_unmount(self) -> None:
        """Stop listening."""
        for unsubscribe in self._unsubscribe:
            unsubscribe()

    async def open_model(self, entry: ModelEntry) -> None:
        """Take a model from another screen."""
        self._entry = entry
        self._show_setup()

    # --- keys ---------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only what makes sense now."""
        running = self._job is not None
        if action == "start":
            return not running
        if action == "cancel":
            return running
        if action in ("mark", "remove", "repeat"):
            return bool(self._shown)
        if action == "compare":
            return len(self._marked) == 2
        return True

    def action_start(self) -> None:
        """Measure the chosen model; without one, choose first. In the filter: back to the rows."""
        if self.query_one(FilterInput).has_focus:
            self.query_one(DataTable).focus()
        elif self._entry is None:
            self.action_choose_model()
        else:
            self._start(self._entry)

    @work(exclusive=True, group="choose")
    async def action_choose_model(self) -> None:
        """Pick a model."""
        from edgetui.screens.model_picker import ModelPicker

        entry = await self.app.push_screen_wait(ModelPicker(await self.lab.catalog.scan(), "Measure which model?"))
        if entry is not None:
            await self.open_model(entry)

    @work(exclusive=True, group="choose")
    async def action_edit_settings(self) -> None:
        """Change what is measured."""
        from edgetui.screens.fields_dialog import Field, FieldsDialog

        lines = (
            ("prompt_tokens", "Prefill", "pp N: prompt tokens; 0: none"),
            ("generated_tokens", "Decode", "tg N: generated tokens; 0: none"),
            ("repetitions", "Repetitions", "of each test, after the warm-up"),
            ("threads", "Threads", "0: one a physical core"),
            ("depth_tokens", "Depth", "tokens in the KV cache before each test"),
            ("batch_tokens", "Batch", "prompt tokens handed over at once"),
            ("kv_cache_type", "KV cache", " ".join(KV_CACHE_TYPES)),
        )
        fields = [Field(BenchSettings, name, label, note, getattr(self._settings, name)) for name, label, note in lines]
        values = await self.app.push_screen_wait(FieldsDialog("What to measure", fields))
        if values is not None:
            self._settings = msgspec.convert(values, BenchSettings)
            self._show_setup()

    @work(group="cancel")
    async def action_cancel(self) -> None:
        """Stop the measurement under way; rows that are complete stay."""
        if self._job is not None:
            try:
                await self.lab.jobs.cancel(self._job.job_id)
            except EdgetuiError as error:
                self.show_failure(error)

    def action_mark(self) -> None:
        """Mark a row for comparison; a third mark takes the place of the oldest."""
        record = self._current
        if record is None:
            return
        before = self._marked
        if record.record_id in before:
            self._marked = [mark for mark in before if mark != record.record_id]
        else:
            self._marked = [*before[-1:], record.record_id]
        table = self.query_one(DataTable)
        for row, shown in enumerate(self._shown):
            if (shown.record_id in before) != (shown.record_id in self._marked):
                table.update_cell_at(Coordinate(row, 0), self._mark_of(shown))
        self._comparison = ""
        self._show_bars()
        self.refresh_bindings()

    def action_compare(self) -> None:
        """Say what the two marked rows show."""
        first, second = (next(r for r in self._records if r.record_id == mark) for mark in self._marked)
        try:
            self._comparison = compare(first, second).sentence
        except EdgetuiError as error:
            self.show_failure(error)
        self._show_bars()

    def action_repeat(self) -> None:
        """Show the commands that repeat the row under the cursor elsewhere."""
        from edgetui.core.repeat_commands import bench_commands
        from edgetui.screens.repeat_dialog import RepeatDialog

        if (record := self._current) is not None:
            self.app.push_screen(RepeatDialog(record.row.name, bench_commands(record.row)))

    def action_remove(self) -> None:
        """Delete the row under the cursor; asks by wanting the key twice."""
        record = self._current
        if record is None:
            return
        if self._to_remove != record.record_id:
            self._to_remove = record.record_id
            self._say(f"Press x again to delete the row {record.row.name} of {plain_line(record.row.model_name)}.")
            return
        self._to_remove = None
        self._say("")
        self._remove(record.record_id)

    def action_filter(self) -> None:
        """Type to filter."""
        self.query_one(FilterInput).open()

    def action_back(self) -> None:
        """Leave the filter, dismiss a failure, or go back."""
        if self.query_one(FilterInput).close():
            self.query_one(DataTable).focus()
        else:
            super().action_back()

    # --- events -------------------------------------------------------------------------------------------

    def on_input_changed(self, _event: Input.Changed) -> None:
        """Filter as the person types."""
        self._fill()

    def on_data_table_row_highlighted(self, _event: DataTable.RowHighlighted) -> None:
        """Bars of the row's test."""
        if self._to_remove is not None:
            self._to_remove = None
            self._say("")
        self._show_bars()

    # --- work ---------------------------------------------------------------------------------------------

    @work(exclusive=True, group="start")
    async def _start(self, entry: ModelEntry) -> None:
        self.clear_failure()
        self._say("Starting...")
        try:
            job = await self.lab.bench.start(entry, self._settings)
        except EdgetuiError as error:
            self._say("")
            self.show_failure(error)
            return
        self._follow(job)

    @work(exclusive=True, group="find")
    async def _find_running(self) -> None:
        for job in await self.lab.jobs.list():
            if job.kind == "bench" and job.is_running and self._job is None:
                self._follow(job)

    @work(exclusive=True, group="follow")
    async def _follow(self, job: JobRecord) -> None:
        self._job = job
        self.refresh_bindings()
        try:
            last = await self.lab.bench.follow(job.job_id)
        except EdgetuiError as error:
            self.show_failure(error)
            self._say("")
        else:
            if isinstance(last, JobFailed):
                self._say("Stopped: complete rows are kept." if last.failure.kind == "cancelled" else "")
                if last.failure.kind != "cancelled":
                    self.show_failure(last.failure)
            else:
                self._say(plain_line(last.summary))
        finally:
            self._job = None
            self.refresh_bindings()

    @work(group="remove")
    async def _remove(self, record_id: int) -> None:
        try:
            await self.lab.bench.remove([record_id])
        except EdgetuiError as error:
            self.show_failure(error)

    @work(exclusive=True, group="history")
    async def _read_history(self) -> None:
        try:
            self._records = await self.lab.bench.history()
        except EdgetuiError as error:
            self.show_failure(error)
            return
        known = {record.record_id for record in self._records}
        self._marked = [mark for mark in self._marked if mark in known]
        self._fill()

    def _on_new_rows(self, _none: None) -> None:
        self._read_history()

    # --- drawing ------------------------------------------------------------------------------------------

    def _take_jobs(self, records: tuple[JobRecord, ...]) -> None:
        """Show how far the measurement is."""
        job = next((record for record in records if self._job and record.job_id == self._job.job_id), None)
        if job is None or not job.is_running:
            return
        bar, track = meter(job.fraction, _BAR_CELLS, default_glyphs())
        left = job.remaining_s(time.time())
        rest = f", {format_duration(left)} left" if left else ""
        self._say(f"{bar}{track} {job.done or 0:.0f}/{job.total or 0:.0f}{rest}  {plain_line(job.note)}")

    def _say(self, text: str) -> None:
        self.query_one("#progress", Static).update(text)

    def _show_setup(self) -> None:
        s = self._settings
        model = plain_line(self._entry.name) if self._entry else "no model chosen (m)"
        threads = str(s.threads) if s.threads else "one a core"
        self.query_one("#setup", Static).update(
            f"{model}\npp {s.prompt_tokens}  tg {s.generated_tokens}  {s.repetitions} repetitions  threads {threads}"
            f"  batch {s.batch_tokens}  KV {s.kv_cache_type}"
        )
        self.refresh_bindings()

    def _fill(self) -> None:
        """List the rows that the filter lets through, keeping the cursor on its row."""
        current = self._current
        words = self.query_one(FilterInput).words
        found = [record for record in self._records if all(word in _known(record) for word in words)]
        self._shown = found[:_MOST_ROWS]
        table = self.query_one(DataTable)
        table.clear()
        for record in self._shown:
            row_cells = cells(record)
            table.add_row(self._mark_of(record), *(Text(row_cells[column]) for column in _ORDER))
        for row, record in enumerate(self._shown):
            if current is not None and record.record_id == current.record_id:
                table.move_cursor(row=row)
        more = self.query_one("#more", Static)
        more.display = len(found) > len(self._shown)
        more.update(f"The newest {len(self._shown)} of {len(found)} rows: press / to filter.")
        self.query_one("#history").display = bool(self._records)
        self.query_one("#empty").display = not self._records
        self._show_bars()
        self.refresh_bindings()

    def _mark_of(self, record: BenchRecord) -> Text:
        return Text(_MARK if record.record_id in self._marked else " ")

    @property
    def _current(self) -> BenchRecord | None:
        row = self.query_one(DataTable).cursor_row
        return self._shown[row] if 0 <= row < len(self._shown) else None

    def _show_bars(self) -> None:
        """The marked rows; else the newest row of each model for the test under the cursor."""
        bars = self.query_one(BenchBars)
        marked = [record for mark in self._marked for record in self._records if record.record_id == mark]
        if len(marked) == 2 and marked[0].row.name == marked[1].row.name:
            bars.show(self._comparison or f"{marked[0].row.name}: press c to compare the two marked rows.", marked)
            return
        current = self._current
        if current is None:
            bars.show("", ())
            return
        newest: dict[str, BenchRecord] = {}
        for record in self._records:
            if record.row.name == current.row.name:
                newest.setdefault(record.row.model_name, record)
        bars.show(f"{current.row.name}, newest row of each model, tok/s", list(newest.values())[:_MOST_BARS])


def _known(record: BenchRecord) -> str:
    row = record.row
    return f"{row.model_name} {row.model_quant_type} {row.name} {row.kv_cache_type}".lower()
