"""The Bench screen: measure a model, keep the rows, compare them, follow them over time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar

import msgspec
from textual import work
from textual.binding import Binding
from textual.containers import Container, VerticalScroll
from textual.widgets import DataTable, Input, Static

from edgetui.core.bench import BenchSettings, tests_of
from edgetui.core.bench_details import facts
from edgetui.core.bench_filter import select
from edgetui.core.bench_trend import regressions
from edgetui.core.failures import EdgetuiError
from edgetui.core.plain_text import plain_line
from edgetui.core.server_load_form import ServerLoadForm
from edgetui.screens import bench_view
from edgetui.screens.bench_files import BenchFiles
from edgetui.screens.bench_running import BenchRunning
from edgetui.screens.bench_watching import BenchWatching
from edgetui.widgets.bench_table import BenchTable
from edgetui.widgets.chart_panel import ChartPanel
from edgetui.widgets.facts_panel import FactsPanel
from edgetui.widgets.filter_input import FilterInput

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from edgetui.core.bench import BenchRecord
    from edgetui.core.bench_trend import Regression
    from edgetui.core.charts import Chart
    from edgetui.core.models import ModelEntry
    from edgetui.screens.bench_view import View
    from edgetui.screens.bench_workloads import Workload

_MOST_ROWS = 200
"""In the table at once: filling one with all rows of a long history would hold up the keys."""
_FILTER = "model, tg, engine:onnx, mmap:no, >2026-11-01, -noisy:yes; esc clears"


class BenchScreen(BenchRunning, BenchFiles, BenchWatching):
    """Settings and progress on top, the history below, what it shows at the bottom, details beside or below."""

    MODE = "bench"
    HELP = (
        "pp N is prefill of N prompt tokens, tg N decode of N tokens one by one, as llama-bench measures them; t/s is"
        " mean and standard deviation. w chooses another workload. Of a model on a server, enter and w start a load"
        " test: rates and latencies of several conversations at once, kept among the studies (v). In the first column *"
        " is marked, ! was measured on"
        " a noisy machine, v is slower than the rows before it. Mark rows of one test with space and press c: the"
        " interval says whether a difference is shown. d shows all that is kept of a row, y what repeats it,"
        " t follows it over time and then over engine versions, g draws the curve it belongs to (lengths, depths,"
        " threads), v lists soaks and other studies. / filters by words, key:word, -word and >2026-11-01;"
        " mmap: and huge: take yes, no or - (not told). i imports, o and p export and report the marked rows, else"
        " those shown."
    )
    AUTO_FOCUS = "BenchTable"
    HORIZONTAL_BREAKPOINTS = [(0, "-normal"), (150, "-wide")]  # noqa: RUF012 - Textual's own declaration
    DEFAULT_CSS = """
    BenchScreen #setup { height: auto; max-height: 2; }
    BenchScreen #progress { height: auto; max-height: 3; min-height: 1; color: $text-muted; }
    BenchScreen #result { display: none; height: auto; max-height: 5; }
    BenchScreen #filter-problem { display: none; height: auto; color: $text-warning; padding: 0 1; }
    BenchScreen #empty { display: none; height: 1fr; padding: 1 2; }
    BenchScreen #history { height: 1fr; layout: horizontal; }
    BenchScreen #rows { width: 1fr; height: 1fr; }
    BenchScreen #more { display: none; height: 1; color: $text-muted; }
    BenchScreen BenchTable { height: 1fr; }
    BenchScreen #details { display: none; width: 64; height: 1fr; border-left: solid $primary; padding: 0 1; }
    BenchScreen.-wide #details { display: block; }
    BenchScreen.-normal.-details #history { layout: vertical; }
    BenchScreen.-normal.-details #rows { height: 30%; min-height: 5; }
    BenchScreen.-normal.-details #details { display: block; width: 1fr; border-left: none; border-top: solid $primary; }
    BenchScreen.-normal.-details #chart { display: none; }
    BenchScreen #details:focus { border-left: solid $accent; }
    BenchScreen #chart { border-top: solid $primary; max-height: 50%; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "start", "Measure", priority=True, id="bench.start"),
        Binding("k", "cancel", "Stop", id="bench.cancel"),
        Binding("w", "workload", "Workload", id="bench.workload"),
        Binding("m,ctrl+o", "choose_model", "Model", id="bench.model"),
        Binding("e", "edit_settings", "Settings", id="bench.settings"),
        Binding("space", "mark", "Mark", id="bench.mark"),
        Binding("c", "compare", "Compare", id="bench.compare"),
        Binding("d", "details", "Details", id="bench.details"),
        Binding("slash", "filter", "Filter", key_display="/", id="bench.filter"),
        Binding("t", "trend", "Trend", id="bench.trend"),
        Binding("g", "curve", "Curve", id="bench.curve"),
        Binding("v", "studies", "Studies", id="bench.studies"),
        Binding("y,ctrl+e", "repeat", "Repeat", key_display="y", id="bench.repeat"),
        Binding("i", "import_rows", "Import", id="bench.import"),
        Binding("o", "export_rows", "Export", id="bench.export"),
        Binding("p", "report", "Report", id="bench.report"),
        Binding("P", "picture", "Picture", show=False, id="bench.picture"),
        Binding("x", "remove", "Delete", id="bench.remove"),
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
        self._has_looked_back = False
        """For the model that was measured last."""
        self._forms: dict[str, msgspec.Struct] = {}
        """Of the other workloads, as they were filled in last."""
        self._records: list[BenchRecord] = []
        self._of_test: dict[str, list[BenchRecord]] = {}
        """The same by the test's name, so that moving the cursor does not go through a long history."""
        self._slower: dict[int, Regression] = {}
        self._found: list[BenchRecord] = []
        """What the filter lets through."""
        self._marked: list[int] = []
        self._comparison: Sequence[str] = ()
        self._view: View = "bars"
        self._chart: Chart | None = None
        self._unsubscribe: list[Callable[[], None]] = []

    def compose_body(self) -> ComposeResult:
        """Setup, progress, history with details, charts."""
        yield Static(id="setup", markup=False)
        yield Static(id="progress", markup=False)
        yield Static(id="result", markup=False)
        yield FilterInput(_FILTER)
        yield Static(id="filter-problem", markup=False)
        yield Static(
            "Nothing has been measured yet.\n\nPress m to choose a model, then enter to measure it, w for other"
            " workloads,\nor i to import rows of llama-bench.",
            id="empty",
            markup=False,
        )
        with Container(id="history"):
            with Container(id="rows"):
                yield BenchTable()
                yield Static(id="more", markup=False)
            with VerticalScroll(id="details"):
                yield FactsPanel()
        yield ChartPanel(id="chart")

    def on_mount(self) -> None:
        """Show the history and whatever measurement runs already."""
        self._unsubscribe = [
            self.lab.bench.changed.subscribe(self._on_new_rows),
            self.lab.jobs.changed.subscribe(self.take_jobs),
        ]
        self._show_setup()
        self.read_history()
        self.find_running()

    def on_unmount(self) -> None:
        """Stop listening."""
        for unsubscribe in self._unsubscribe:
            unsubscribe()

    async def open_model(self, entry: ModelEntry) -> None:
        """Take a model from another screen."""
        self._entry = entry
        self._show_setup()

    # --- what is chosen -----------------------------------------------------------------------------------

    @property
    def found(self) -> Sequence[BenchRecord]:
        """What the filter lets through."""
        return self._found

    @property
    def chart(self) -> Chart | None:
        """What is drawn now."""
        return self._chart

    @property
    def current(self) -> BenchRecord | None:
        """The row under the cursor."""
        return self.query_one(BenchTable).current

    @property
    def marked(self) -> Sequence[BenchRecord]:
        """Rows with a mark, the first marked first."""
        known = {record.record_id: record for record in self._records}
        return [known[mark] for mark in self._marked]

    # --- keys ---------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only what makes sense now."""
        running = self._job is not None
        if action in ("start", "workload"):
            return not running
        if action == "cancel":
            return running
        if action in ("mark", "remove", "details", "trend", "curve", "repeat", "export_rows", "report"):
            return bool(self._found)
        if action == "compare":
            return len(self._marked) >= 2
        return True

    def action_start(self) -> None:
        """Measure the chosen model; without one, choose first. In the filter: back to the rows."""
        if self.query_one(FilterInput).has_focus:
            self.query_one(DataTable).focus()
        elif self._entry is None:
            self.action_choose_model()
        else:
            self.start_workload(self._entry, self._usual_form(self._entry))

    @work(exclusive=True, group="dialog")
    async def action_choose_model(self) -> None:
        """Pick a model."""
        await self._ask_model()

    @work(exclusive=True, group="dialog")
    async def action_edit_settings(self) -> None:
        """Change what enter measures."""
        from edgetui.screens.bench_workloads import load_settings, usual_of

        workload = usual_of(self._entry)

        async def keep(form: msgspec.Struct) -> None:
            if isinstance(form, BenchSettings):
                tests_of(form)
            elif isinstance(form, ServerLoadForm):
                load_settings(form)
            self._keep_form(workload, form)

        await self._ask_settings(workload, keep)

    @work(exclusive=True, group="dialog")
    async def action_workload(self) -> None:
        """Choose a workload of the model, fill in its settings, start it."""
        from edgetui.screens.bench_workloads import start, workloads_of
        from edgetui.screens.choice_dialog import ChoiceDialog

        if self._entry is None and not await self._ask_model():
            return
        entry = self._entry
        if entry is None:
            return
        workloads = workloads_of(entry)
        choices = [(workload.name, workload.about) for workload in workloads]
        place = await self.app.push_screen_wait(ChoiceDialog("Measure what", choices))
        if place is None:
            return
        workload = workloads[place]

        async def start_it(form: msgspec.Struct) -> None:
            job = await start(self, entry, form)
            self._keep_form(workload, form)
            self.clear_failure()
            self.follow(job)

        await self._ask_settings(workload, start_it)

    def action_mark(self) -> None:
        """Mark a row, for comparing, exporting, reporting or deleting."""
        record = self.current
        if record is None:
            return
        if record.record_id in self._marked:
            self._marked.remove(record.record_id)
        else:
            self._marked.append(record.record_id)
        self.query_one(BenchTable).mark(self._marked)
        self._comparison = ()
        self._view = "bars"
        self._show_current()
        self.refresh_bindings()

    async def action_compare(self) -> None:
        """Say what the marked rows show, each against the first."""
        try:
            self._comparison = bench_view.comparison_of(self.marked, await self.lab.bench.studies())
        except EdgetuiError as error:
            self.show_failure(error)
            return
        self._view = "bars"
        self._show_current()

    def action_details(self) -> None:
        """All that is kept of the row, under the rows where there is no room beside them; tab goes there to scroll."""
        self.toggle_class("-details")
        self._show_current()

    def action_trend(self) -> None:
        """Follow the row over time, then over engine versions, then show bars again."""
        order: dict[View, View] = {"trend": "version", "version": "bars"}
        self._view = order.get(self._view, "trend")
        self._show_current()

    def action_curve(self) -> None:
        """Draw the curve that the row belongs to, or bars again."""
        self._view = "bars" if self._view == "curve" else "curve"
        self._show_current()

    def action_studies(self) -> None:
        """Soaks, A/B comparisons, autotunes, load times and load tests."""
        from edgetui.screens.bench_studies import StudiesScreen

        self.app.push_screen(StudiesScreen(self.lab.bench))

    def action_filter(self) -> None:
        """Type to filter."""
        self.query_one(FilterInput).open()

    def action_back(self) -> None:
        """Leave the filter, the details or a chart, dismiss a failure, or go back."""
        if self.query_one(FilterInput).close():
            self.query_one(DataTable).focus()
        elif self.has_class("-details") and self.has_class("-normal"):
            self.remove_class("-details")
            self.query_one(BenchTable).focus()
            self._show_current()
        elif self._view != "bars":
            self._view = "bars"
            self._show_current()
        else:
            super().action_back()

    # --- events -------------------------------------------------------------------------------------------

    def on_input_changed(self, _event: Input.Changed) -> None:
        """Filter as the person types."""
        self._fill()

    def on_data_table_row_highlighted(self, _event: DataTable.RowHighlighted) -> None:
        """What belongs to the row."""
        self._show_current()

    # --- work ---------------------------------------------------------------------------------------------

    async def _ask_model(self) -> bool:
        from edgetui.screens.model_picker import ModelPicker

        entries = [*await self.lab.servers.entries(), *await self.lab.catalog.scan()]
        entry = await self.app.push_screen_wait(ModelPicker(entries, "Measure which model?"))
        if entry is not None:
            await self.open_model(entry)
        return entry is not None

    async def _ask_settings(self, workload: Workload, settle: Callable[[msgspec.Struct], Awaitable[None]]) -> None:
        from edgetui.screens.bench_workloads import SINGLE, ask

        before = self._settings if workload is SINGLE else self._forms.get(workload.name, workload.form())
        await ask(self, workload, before, self._entry.name if self._entry else "", settle)

    def _keep_form(self, workload: Workload, form: msgspec.Struct) -> None:
        """Begin with it next time."""
        if isinstance(form, BenchSettings):
            self._settings = form
        else:
            self._forms[workload.name] = form
        self._show_setup()

    def _usual_form(self, entry: ModelEntry) -> msgspec.Struct:
        """What enter measures of a model."""
        from edgetui.screens.bench_workloads import SERVER_LOAD

        return self._settings if entry.endpoint is None else self._forms.get(SERVER_LOAD.name, SERVER_LOAD.form())

    @work(exclusive=True, group="history")
    async def read_history(self) -> None:
        """Show the rows that are kept now; cursor and marks stay on theirs."""
        try:
            # Before the rows: one that comes in between is then read once more, not missed.
            mark = await self.lab.bench.history_mark()
            self._records, self.history_mark = await self.lab.bench.history(), mark
            self._slower = await asyncio.to_thread(regressions, self._records)
        except EdgetuiError as error:
            self.show_failure(error)
            return
        if not self.has_widgets:
            return
        self._of_test = {}
        for record in self._records:
            self._of_test.setdefault(record.row.name, []).append(record)
        known = {record.record_id for record in self._records}
        self._marked = [mark for mark in self._marked if mark in known]
        self._fill()
        if self._entry is None and not self._has_looked_back:
            self._has_looked_back = True
            await self._take_last_measured()

    async def _take_last_measured(self) -> None:
        """Begin with the model that was measured here last; one that is gone is none to begin with."""
        path = next((record.row.model_path for record in self._records if not record.row.source), "")
        if not path:
            return
        try:
            entry = await self.lab.catalog.find(path)
        except EdgetuiError:
            return
        if self._entry is None and self.has_widgets and entry.problem is None:
            await self.open_model(entry)

    def _on_new_rows(self, _none: None) -> None:
        self.read_history()

    # --- drawing ------------------------------------------------------------------------------------------

    def _show_setup(self) -> None:
        model = plain_line(self._entry.name) if self._entry else "no model chosen (m)"
        usual = self._settings if self._entry is None else self._usual_form(self._entry)
        self.query_one("#setup", Static).update(f"{model}\n{bench_view.setup(usual)}")
        self.refresh_bindings()

    def _fill(self) -> None:
        """List the rows that the filter lets through; a word that means nothing, yet, is told and left out."""
        self._found, problem = self._records, ""
        for word in self.query_one(FilterInput).words:
            try:
                self._found = select(self._found, word)
            except EdgetuiError as error:
                problem = error.failure.message
        told = self.query_one("#filter-problem", Static)
        told.update(problem)
        told.display = bool(problem)
        shown = self._found[:_MOST_ROWS]
        self.query_one(BenchTable).show(shown, self._marked, self._slower)
        more = self.query_one("#more", Static)
        more.display = len(self._found) > len(shown)
        more.update(f"The first {len(shown)} of {len(self._found)} rows: press / to filter.")
        self.query_one("#history").display = bool(self._records)
        self.query_one("#empty").display = not self._records
        if self._records and self.focused is None:
            # It could not be given the focus while it was hidden.
            self.query_one(BenchTable).focus()
        self._show_current()
        self.refresh_bindings()

    def _show_current(self) -> None:
        """Details and charts of the row under the cursor, or of the marked rows."""
        current = self.current
        panel = self.query_one(ChartPanel)
        if current is None:
            self.query_one(FactsPanel).show(())
            panel.show((), ())
            return
        slower = self._slower.get(current.record_id)
        told = [("slower", slower.sentence)] if slower is not None else []
        self.query_one(FactsPanel).show([*facts(current), *told])
        rows = max(8, self.app.size.height // 2 - 3)
        same_test = self._of_test.get(current.row.name, [])
        if self._view in ("trend", "version"):
            shown = bench_view.followed(current, same_test, "date" if self._view == "trend" else "version")
        elif self._view == "curve":
            shown = bench_view.curve(current, self._records)
        else:
            shown = bench_view.bars(current, self.marked, same_test, self._comparison)
        self._chart = shown.chart
        panel.show(shown.sentences, () if shown.chart is None else (shown.chart,), rows - len(shown.sentences))
