"""The Latency screen: run an ONNX graph in a plain session, its percentiles, and where the time went by operator."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar, Literal

from textual import work
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.widgets import Static

from edgetui.core.failures import EdgetuiError
from edgetui.core.onnx_latency import OnnxLatencyRecord, OnnxRunSettings, compare
from edgetui.core.onnx_latency_text import COLUMNS, cells, compared, describe, lines
from edgetui.core.plain_text import plain_line
from edgetui.core.units import counted
from edgetui.screens.measured_screen import MeasuredScreen
from edgetui.widgets.job_panel import JobPanel
from edgetui.widgets.operator_panel import OperatorPanel
from edgetui.widgets.row_table import RowTable
from edgetui.widgets.settings_panel import Setting, SettingsPanel

if TYPE_CHECKING:
    from collections.abc import Iterable

    from textual.app import ComposeResult
    from textual.binding import BindingType
    from textual.widgets import DataTable

    from edgetui.core.jobs import JobKind, JobRecord
    from edgetui.core.models import ModelEntry
    from edgetui.services.onnx_sessions import OnnxSessions

View = Literal["figures", "profile", "inputs", "comparison"]


class OnnxSessionScreen(MeasuredScreen[OnnxLatencyRecord, OnnxRunSettings]):
    """What will be run on top, past results in the middle, the figures of the marked one or the job below."""

    MODE = "models"
    HELP = (
        "Any ONNX graph is run in a plain ONNX Runtime session, whatever it computes: inputs are made up (ids that the"
        " graph has, masks of ones, noise) or read from a file, warm-up runs do not count, and every run that counts is"
        " in the percentiles. enter measures, e changes how, i shows what the graph takes, p the profile of a result"
        " measured with profile=true, = on two results compares them, y shows the commands that repeat one (edgetui's"
        " own, and a Python program over onnxruntime) to copy or to write to a file, x deletes one."
    )
    KINDS: ClassVar[tuple[JobKind, ...]] = ("latency",)
    COLUMNS = COLUMNS
    FORM_TITLE = "How to run the graph"
    FORM = (
        ("sizes", "Sizes", "batch=1, input_ids=1x128"),
        ("file", "Inputs from", ".npz or .npy; empty: made up"),
        ("provider", "Provider", "auto, or one by name"),
        ("opt_level", "Optimization", "disabled basic extended all"),
        ("threads", "Threads", "0: one a physical core"),
        ("inter_threads", "Inter threads", "between operators, if parallel"),
        ("mode", "Mode", "sequential or parallel"),
        ("warm_up", "Warm-up", "runs that do not count"),
        ("runs", "Runs", "0: until the budget ends"),
        ("budget_s", "Budget", "seconds, without runs"),
        ("profile", "Profile", "trace some more runs"),
        ("seed", "Seed", "of inputs that are made up"),
    )
    DEFAULT_CSS = """
    OnnxSessionScreen #setup { height: auto; max-height: 5; padding: 0 1; }
    OnnxSessionScreen #empty { display: none; height: 1fr; padding: 1 2; }
    OnnxSessionScreen RowTable { height: auto; max-height: 40%; min-height: 4; }
    OnnxSessionScreen VerticalScroll { height: 1fr; padding: 0 1; border-top: solid $primary; }
    OnnxSessionScreen JobPanel { height: 40%; max-height: 10; border-top: solid $primary; display: none; }
    OnnxSessionScreen.-job JobPanel { display: block; }
    OnnxSessionScreen.-job VerticalScroll { display: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "measure", "Measure", priority=True, id="latency.measure"),
        Binding("e", "edit_settings", "Settings", id="latency.settings"),
        Binding("i", "look('inputs')", "Inputs", id="latency.inputs"),
        Binding("p", "look('profile')", "Profile", id="latency.profile"),
        Binding("equals_sign", "compare", "Compare", key_display="=", id="latency.compare"),
        Binding("y,ctrl+e", "repeat", "Repeat", key_display="y", id="latency.repeat"),
        Binding("x", "remove", "Delete", id="latency.remove"),
        Binding("pageup", "scroll_figures(-1)", "Up", show=False, priority=True),
        Binding("pagedown", "scroll_figures(1)", "Down", show=False, priority=True),
    ]

    def __init__(self, entry: ModelEntry) -> None:
        super().__init__(entry, OnnxRunSettings())
        self._view: View = "figures"
        self._first: OnnxLatencyRecord | None = None
        """Of a comparison."""
        self._faces: list[Setting] = []
        self._providers = ""
        """Those that can be chosen here, once that is known."""

    def compose_body(self) -> ComposeResult:
        """Setup, results, figures, job."""
        yield Static(id="setup", markup=False)
        yield Static(
            "No latency has been measured yet.\n\nPress enter to measure this graph with inputs that are made up, or e"
            " to say otherwise.",
            id="empty",
            markup=False,
        )
        yield RowTable()
        with VerticalScroll(can_focus=False):
            yield SettingsPanel(id="facts")
            yield OperatorPanel(id="operators")
        yield JobPanel()

    def on_mount(self) -> None:
        """Read what the graph takes, and by what it can be run."""
        self._read_faces()
        self._read_providers()

    @property
    def history(self) -> OnnxSessions:
        """The history of latencies."""
        return self.lab.onnx_sessions

    async def start(self) -> JobRecord:
        """Run the graph; its figures are shown at the end."""
        record = await self.lab.onnx_sessions.start(self._entry, self._settings)
        self._look_at("figures")
        return record

    # --- keys ---------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only what the marked result has."""
        if action in ("compare", "repeat"):
            return bool(self._records)
        if action == "look" and parameters == ("profile",):
            return self.is_mounted and self._marked is not None and self._marked.row.profile is not None
        return super().check_action(action, parameters)

    def action_back(self) -> None:
        """From another view to the figures, then as on every such screen."""
        if self._view != "figures" and not self.query_one(JobPanel).has_focus:
            self._look_at("figures")
        else:
            super().action_back()

    def action_look(self, view: View) -> None:
        """Another view of what is below, or the figures again."""
        self._look_at("figures" if self._view == view else view)

    def action_repeat(self) -> None:
        """The commands that repeat the marked result elsewhere."""
        from edgetui.core.repeat_session import latency_commands
        from edgetui.screens.repeat_dialog import RepeatDialog

        if (record := self._marked) is not None:
            what = f"result {record.record_id} of {record.row.model_name}"
            self.app.push_screen(RepeatDialog(what, latency_commands(record.row)))

    def action_compare(self) -> None:
        """Remember the marked result, or compare it with the one that was remembered."""
        marked = self._marked
        if marked is None:
            return
        if self._first is None or self._first.record_id == marked.record_id:
            self._first = marked
            self._show_setup(f"Compare result {marked.record_id} with which? Move there and press = again.")
        else:
            self._look_at("comparison")
            self._show_setup()

    def action_scroll_figures(self, direction: int) -> None:
        """A page of what is below the table."""
        below = self.query_one(VerticalScroll)
        if direction < 0:
            below.scroll_page_up(animate=False)
        else:
            below.scroll_page_down(animate=False)

    def on_data_table_row_highlighted(self, _event: DataTable.RowHighlighted) -> None:
        """A comparison ends with the row that it was of."""
        if self._view == "comparison":
            self._first, self._view = None, "figures"

    # --- work ---------------------------------------------------------------------------------------------

    @work(group="faces", exclusive=True)
    async def _read_faces(self) -> None:
        try:
            faces = await self.lab.onnx_sessions.faces(self._entry)
        except EdgetuiError as error:
            self.show_failure(error)
            return
        self._faces = [
            Setting(kind, f"{plain_line(value.name)}  {describe(value)}", "")
            for kind, values in (("Input", faces.inputs), ("Output", faces.outputs))
            for value in values
        ]
        if not self._records:
            self._view = "inputs"
        self.describe()

    @work(group="providers", exclusive=True)
    async def _read_providers(self) -> None:
        try:
            self._providers = ", ".join(("auto", *await self.lab.onnx_sessions.providers()))
        except EdgetuiError as error:
            self.show_failure(error)

    # --- what is shown ------------------------------------------------------------------------------------

    def cells(self, record: OnnxLatencyRecord) -> Iterable[str]:
        """Its row as the history shows it."""
        return cells(record)

    def removal(self, record: OnnxLatencyRecord) -> str:
        """The result by its number, and the trace that goes with it."""
        trace = " and its trace" if record.row.profile is not None else ""
        return f"result {record.record_id} of {record.row.model_name}{trace}"

    def note_of(self, name: str, note: str) -> str:
        """Providers are named once they are known."""
        return f"here: {self._providers}" if name == "provider" and self._providers else note

    def setup(self) -> tuple[str, str]:
        """Graph and inputs, then how it is run."""
        settings = self._settings
        how = f"{counted(settings.runs, 'run')}" if settings.runs else f"{settings.budget_s:g} s of runs"
        return (
            f"{self._entry.name}  {settings.file or settings.sizes or 'inputs made up'}",
            f"{how} after {settings.warm_up}, provider {settings.provider}, optimization {settings.opt_level},"
            f" {settings.threads or 'default'} threads, {settings.mode}{', profiled' if settings.profile else ''}",
        )

    def _fill(self) -> None:
        if self._records and self._view == "inputs":
            self._view = "figures"
        super()._fill()

    def _look_at(self, view: View) -> None:
        self._view = view
        if view == "figures":
            self._first = None
        self.describe()
        self.query_one(VerticalScroll).scroll_home(animate=False)

    def describe(self) -> None:
        """The chosen view of the marked result."""
        record, view = self._marked, self._view
        facts: list[Setting] = []
        profile = record.row.profile if record is not None and view == "profile" else None
        if view == "inputs":
            facts = self._faces
        elif record is not None and view == "comparison" and self._first is not None:
            told = compared(compare(self._first.row, record.row), self._first.row, record.row)
            facts = [Setting(label, figure, "") for label, figure in told]
        elif record is not None and profile is None:
            at = time.strftime("%Y-%m-%d %H:%M", time.localtime(record.row.measured_at))
            told = [("Result", f"{record.record_id}, measured {at}"), *lines(record.row)]
            facts = [Setting(label, figure, "") for label, figure in told]
        self.query_one(SettingsPanel).show(facts)
        self.query_one(OperatorPanel).show(profile)
