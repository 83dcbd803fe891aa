"""The Frontier screen: builds of a model side by side, limits, the trade-off as a chart, and which to take."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import msgspec
from rich.text import Text
from textual import work
from textual.binding import Binding
from textual.containers import Container
from textual.content import Content
from textual.widgets import DataTable, Static

from edgetui.core.failures import EdgetuiError, Failure
from edgetui.core.frontier import COST_AXES, FrontierLimits, Judged, Pick, SweepForm, judge, pick
from edgetui.core.frontier_text import COLUMNS, place_mark, table_cells, told_conditions, told_limits
from edgetui.core.job_text import progress_line
from edgetui.core.plain_text import plain_line
from edgetui.screens.base import LabScreen
from edgetui.widgets.frontier_chart import FrontierChart
from edgetui.widgets.row_table import RowTable

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from edgetui.core.frontier import FrontierRow
    from edgetui.core.jobs import JobRecord
    from edgetui.core.models import ModelEntry

_LIMITS = (
    ("max_size_mib", "Most size", "MiB on disk"),
    ("max_memory_mib", "Most memory", "MiB while it runs"),
    ("min_decode_tps", "Least decode", "tok/s"),
    ("min_prefill_tps", "Least prefill", "tok/s"),
    ("max_kl", "Most KL", "mean KL divergence from the parent, nats"),
    ("max_perplexity", "Most perplexity", ""),
)
_FORM = (
    ("builds", "Builds", ""),
    ("imatrix", "Imatrix", "for +imatrix: a file, or make"),
    ("text", "Text", "topics, wikitext-2, or a path"),
    ("chunks", "Chunks", "of the text; 0: all"),
    ("context_tokens", "Context", "tokens a chunk"),
    ("tasks", "Tasks", "try the built-in tasks too"),
    ("prompt_tokens", "Prefill", "pp N; 0: none"),
    ("generated_tokens", "Decode", "tg N; 0: none"),
    ("repetitions", "Repetitions", "of each test"),
    ("threads", "Threads", "0: one a physical core"),
    ("keep", "Keep", "false: remove builds once measured"),
)
_NO_SWEEP = (
    "No builds have been compared yet.\n\nPress n to sweep: take a model, name the builds to make of it, and each is"
    " made, measured and put into this table."
)


class FrontierScreen(LabScreen):
    """Conditions on top, the table, the pick; the chart beside it or in its place."""

    MODE = "frontier"
    HELP = (
        "Each row is a build that was made and measured: > is the one to take, * is on the frontier (none is both"
        " better and cheaper), . breaks a limit, x could not be measured. KL is the mean divergence from the parent,"
        " +- its standard error, top-1 how often both find the same token likeliest. l sets limits, v pays quality with"
        " size, speed or memory, g draws it, n sweeps anew, o exports. Jobs that were cut off go on with r on Jobs (6)."
    )
    AUTO_FOCUS = "RowTable"
    HORIZONTAL_BREAKPOINTS = [(0, "-normal"), (150, "-wide")]  # noqa: RUF012 - Textual's own declaration
    DEFAULT_CSS = """
    FrontierScreen #conditions { height: auto; max-height: 3; padding: 0 1; color: $text-muted; }
    FrontierScreen #empty { display: none; height: 1fr; padding: 1 2; }
    FrontierScreen #both { height: 1fr; layout: horizontal; }
    FrontierScreen RowTable { width: 1fr; height: 1fr; }
    FrontierScreen FrontierChart { display: none; width: 1fr; height: 1fr; border-left: solid $primary; }
    FrontierScreen.-wide FrontierChart { display: block; }
    FrontierScreen.-wide RowTable { width: 108; }
    FrontierScreen.-chart.-normal FrontierChart { display: block; border-left: none; }
    FrontierScreen.-chart.-normal RowTable { display: none; }
    FrontierScreen #pick { height: auto; max-height: 5; padding: 0 1; border-top: solid $primary; }
    FrontierScreen #progress { height: 1; padding: 0 1; display: none; text-wrap: nowrap; text-overflow: ellipsis; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open_build('run')", "Run", priority=True, id="frontier.run"),
        Binding("n", "sweep", "Sweep", id="frontier.sweep"),
        Binding("l", "limits", "Limits", id="frontier.limits"),
        Binding("v", "axis", "Paid with", id="frontier.axis"),
        Binding("g", "chart", "Chart", id="frontier.chart"),
        Binding("o,s", "export", "Export", key_display="o", id="frontier.export"),
        Binding("right_square_bracket", "next_sweep(1)", "Older", key_display="]", id="frontier.older"),
        Binding("left_square_bracket", "next_sweep(-1)", "Newer", key_display="[", id="frontier.newer"),
        Binding("k", "cancel", "Stop", id="frontier.cancel"),
        Binding("b", "open_build('bench')", "Bench", show=False, id="frontier.bench"),
        Binding("x", "forget", "Forget", show=False, id="frontier.forget"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._rows: list[FrontierRow] = []
        self._sweeps: list[tuple[str, str]] = []
        """A sweep and one of its models: losses of different models do not compare."""
        self._sweep = 0
        self._limits = FrontierLimits()
        self._axis = COST_AXES[0]
        self._judged: list[Judged] = []
        self._picked = Pick(None, "")
        self._entry: ModelEntry | None = None
        self._sweeping: JobRecord | None = None
        self._to_forget = ""
        self._unsubscribe: list[Callable[[], None]] = []

    def compose_body(self) -> ComposeResult:
        """Conditions, table and chart, the pick, what runs."""
        yield Static(id="conditions", markup=False)
        yield Static(_NO_SWEEP, id="empty", markup=False)
        with Container(id="both"):
            yield RowTable()
            yield FrontierChart()
        yield Static(id="pick", markup=False)
        yield Static(id="progress", markup=False)

    def on_mount(self) -> None:
        """Show the newest sweep, and follow one that runs."""
        self.query_one(RowTable).add_columns("", *COLUMNS)
        self._unsubscribe = [
            self.lab.jobs.changed.subscribe(self._take_jobs),
            self.lab.frontier.changed.subscribe(self._on_removed),
        ]
        self._read()

    def on_unmount(self) -> None:
        """Stop following."""
        for unsubscribe in self._unsubscribe:
            unsubscribe()

    async def open_model(self, entry: ModelEntry) -> None:
        """Sweep a model chosen on another screen."""
        self._entry = entry
        self._plan_sweep(entry)

    # --- keys ---------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer what the marked build and the sweeps allow."""
        if action in ("open_build", "limits", "axis", "chart", "export", "forget"):
            return bool(self._judged)
        if action == "cancel":
            return self._sweeping is not None and self._sweeping.is_running
        if action == "next_sweep":
            step = parameters[0]
            assert isinstance(step, int)
            return 0 <= self._sweep + step < len(self._sweeps)
        return super().check_action(action, parameters)

    @work(exclusive=True, group="dialog")
    async def action_sweep(self) -> None:
        """Choose a model, then what to make of it."""
        from edgetui.screens.model_picker import ModelPicker

        entries = [entry for entry in await self.lab.catalog.scan() if entry.problem is None]
        entry = await self.app.push_screen_wait(ModelPicker(entries, "Make builds of which model?"))
        if entry is not None:
            self._entry = entry
            self._plan_sweep(entry)

    @work(exclusive=True, group="dialog")
    async def action_limits(self) -> None:
        """Say what a build must keep."""
        from edgetui.screens.fields_dialog import Field, FieldsDialog

        fields = [
            Field(FrontierLimits, name, label, f"{note}; empty: any".lstrip("; "), getattr(self._limits, name))
            for name, label, note in _LIMITS
        ]
        values = await self.app.push_screen_wait(FieldsDialog("Limits", fields))
        if values is not None:
            self._limits = FrontierLimits(**values)
            self._judge()

    def action_axis(self) -> None:
        """Pay quality with the next of size, speed and memory."""
        self._axis = COST_AXES[(COST_AXES.index(self._axis) + 1) % len(COST_AXES)]
        self._judge()

    def action_chart(self) -> None:
        """Draw the trade-off in the table's place, or go back to the table."""
        self.toggle_class("-chart")
        self._judge()

    def action_next_sweep(self, step: int) -> None:
        """Show an older or a newer sweep."""
        self._sweep = max(0, min(len(self._sweeps) - 1, self._sweep + step))
        self._judge()

    @work(exclusive=True, group="dialog")
    async def action_export(self) -> None:
        """Write the table or the picture to a file; the ending says which."""
        from edgetui.screens.name_file import NameFileDialog
        from edgetui.services.frontier_export import export

        name = f"frontier-{self._judged[0].row.source_name.replace('/', '-')}.md"
        judged, picked, axis = self._judged, self._picked, self._axis

        async def write(name: str) -> Path:
            return await asyncio.to_thread(export, Path(name), judged, picked, axis)

        title = "Export as .md, .csv, .json or .svg: enter writes it, esc closes"
        path = await self.app.push_screen_wait(NameFileDialog(str(Path.cwd() / name), write, title))
        if path is not None:
            self._say(f"Written: {path}")

    @work(exclusive=True, group="open")
    async def action_open_build(self, mode: Literal["run", "bench"]) -> None:
        """Go on with the marked build."""
        one = self._marked
        if one is None:
            return
        try:
            entry = await self.lab.catalog.find(one.row.path)
        except EdgetuiError as error:
            self.show_failure(error)
            return
        await self.lab_app.open_model_in(mode, entry)

    @work(group="cancel")
    async def action_cancel(self) -> None:
        """Stop the sweep that runs; what was measured stays, and r on Jobs goes on with it."""
        if self._sweeping is not None:
            try:
                await self.lab.jobs.cancel(self._sweeping.job_id)
            except EdgetuiError as error:
                self.show_failure(error)

    def action_forget(self) -> None:
        """Forget the sweep shown; wants the key twice."""
        sweep_id = self._sweeps[self._sweep][0]
        if self._to_forget != sweep_id:
            self._to_forget = sweep_id
            self._say("Press x again to forget this sweep's figures; what it made stays.")
            return
        self._to_forget = ""
        self._say("")
        self._forget(sweep_id)

    # --- work ---------------------------------------------------------------------------------------------

    @work(exclusive=True, group="dialog")
    async def _plan_sweep(self, entry: ModelEntry) -> None:
        from edgetui.screens.fields_dialog import Field, FieldsDialog

        usual = SweepForm(builds=" ".join(await self.lab.frontier.usual_builds(entry)))
        fields = [Field(SweepForm, name, label, note, getattr(usual, name)) for name, label, note in _FORM]

        async def start(values: dict[str, Any]) -> None:
            form = msgspec.convert(values, SweepForm)
            plan = await self.lab.frontier.plan(
                [entry],
                form.build_names,
                imatrix=form.imatrix,
                quality=form.quality,
                bench=form.bench,
                keep=form.keep,
            )
            self._sweeping = await self.lab.frontier.start(plan)

        self.clear_failure()
        await self.app.push_screen_wait(FieldsDialog(f"Sweep {entry.name}", fields, settle=start))

    @work(exclusive=True, group="read")
    async def _read(self) -> None:
        try:
            self._rows = await self.lab.frontier.rows()
        except EdgetuiError as error:
            self.show_failure(error)
            return
        shown = self._sweeps[self._sweep] if self._sweeps else None
        self._sweeps = list(dict.fromkeys((row.sweep_id, row.source_name) for row in self._rows))
        running = "" if self._sweeping is None else self._sweeping.job_id
        new = next((key for key in self._sweeps if key[0] == running), None)
        wanted = new if new is not None and (shown is None or shown[0] != running) else shown
        self._sweep = self._sweeps.index(wanted) if wanted in self._sweeps else 0
        self._judge()

    @work(group="remove")
    async def _forget(self, sweep_id: str) -> None:
        try:
            await self.lab.frontier.remove(sweep_id)
        except EdgetuiError as error:
            self.show_failure(error)

    def _on_removed(self, _none: None) -> None:
        self._read()

    def _take_jobs(self, records: tuple[JobRecord, ...]) -> None:
        """Show how far a sweep is, and each build as soon as it is measured."""
        before = self._sweeping
        own = (record for record in records if record.kind == "sweep")
        now = next((record for record in own if before is None or record.job_id == before.job_id), None)
        if now is None or (before is None and not now.is_running):
            return
        self._sweeping = now if now.is_running else None
        if now.is_running:
            self._say(f"{now.note}   {progress_line(now, now.progress_at or now.created_at)}")
        elif before is not None:
            self._say(now.summary)
            if now.state == "failed":
                self.show_failure(Failure("unsupported", now.summary))
        if before is None or before.done != now.done or not now.is_running:
            self._read()

    # --- what is shown ------------------------------------------------------------------------------------

    @property
    def _marked(self) -> Judged | None:
        row = self.query_one(RowTable).cursor_row
        return self._judged[row] if 0 <= row < len(self._judged) else None

    def _judge(self) -> None:
        """Hold the sweep shown against the limits, and show it."""
        if not self.has_widgets:
            return
        shown = self._sweeps[self._sweep] if self._sweeps else None
        rows = [row for row in self._rows if (row.sweep_id, row.source_name) == shown]
        self._judged = judge(rows, self._limits, self._axis)
        self._picked = pick(self._judged, self._limits, self._axis)
        self.query_one("#empty").display = not rows
        self.query_one("#both").display = bool(rows)
        self.query_one("#pick").display = bool(rows)
        conditions = f"{rows[0].source_name}: {told_conditions(rows)}" if rows else ""
        conditions += f"; {told_limits(self._limits, self._axis)}" if rows else ""
        if len(self._sweeps) > 1:
            conditions += f"   {self._sweep + 1} of {len(self._sweeps)}"
        self.query_one("#conditions", Static).update(Content(plain_line(conditions)))
        self._fill()
        self._describe()
        self.query_one(FrontierChart).show_builds(self._judged, self._picked, self._axis, self._marked)
        self.refresh_bindings()

    def _fill(self) -> None:
        table = self.query_one(RowTable)
        cursor = table.cursor_row
        table.clear()
        for one in self._judged:
            grey = "dim" if one.broken or one.row.problem else ""
            cells = (place_mark(one, self._picked), *table_cells(one))
            table.add_row(
                *(
                    Text(plain_line(cell), style=grey, justify="left" if column < 2 else "right")
                    for column, cell in enumerate(cells)
                )
            )
        table.move_cursor(row=min(cursor, len(self._judged) - 1))

    def on_data_table_row_highlighted(self, _event: DataTable.RowHighlighted) -> None:
        """Tell of the marked build."""
        self._describe()
        self.query_one(FrontierChart).show_builds(self._judged, self._picked, self._axis, self._marked)

    def _describe(self) -> None:
        """The pick, and what is to be said of the marked build."""
        lines = [self._picked.reason] if self._picked.reason else []
        one = self._marked
        if one is not None and one.row.problem:
            lines.append(f"{one.row.label}: {one.row.problem}")
        elif one is not None and one.broken:
            lines.append(f"{one.row.label}: {'; '.join(one.broken)}")
        self.query_one("#pick", Static).update(Content("\n".join(plain_line(line) for line in lines)))

    def _say(self, text: str) -> None:
        for line in self.query("#progress").results(Static):
            line.update(Content(plain_line(text)))
            line.display = bool(text)
