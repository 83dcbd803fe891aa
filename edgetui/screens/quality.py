"""The Quality screen: measure what a model lost against its unquantized parent, and what was measured before."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar

import msgspec
from rich.text import Text
from textual import work
from textual.binding import Binding
from textual.content import Content
from textual.widgets import DataTable, Static

from edgetui.core.failures import EdgetuiError
from edgetui.core.plain_text import plain_line
from edgetui.core.quality import QualityRecord, QualitySettings
from edgetui.core.quality_text import COLUMNS, cells, lines
from edgetui.screens.model_job_screen import ModelJobScreen
from edgetui.widgets.job_panel import JobPanel
from edgetui.widgets.row_table import RowTable
from edgetui.widgets.settings_panel import Setting, SettingsPanel

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from edgetui.core.jobs import JobKind, JobRecord
    from edgetui.core.models import ModelEntry

_FIELDS = (
    ("text", "Text", "topics, wikitext-2, or a path"),
    ("context_tokens", "Context", "tokens a chunk; the second half is scored"),
    ("chunks", "Chunks", "of the text; 0: all"),
    ("tasks", "Tasks", "try the built-in tasks too"),
    ("threads", "Threads", "0: one a physical core"),
)


class QualityScreen(ModelJobScreen):
    """What will be measured on top, the history in the middle, all figures of the marked row or the job below."""

    MODE = "quantize"
    HELP = (
        "Perplexity says how well the model foretells a text; KL divergence how far its predictions are from the"
        " parent's, which tells small losses apart long before the perplexity does; top-1 how often both find the same"
        " token likeliest. All by llama-perplexity's definitions, so that figures compare with published ones. Rows"
        " compare only over the same text, chunks and parent. enter measures, p takes another parent, e changes what is"
        " measured."
    )
    KINDS: ClassVar[tuple[JobKind, ...]] = ("quality",)
    LIST = AUTO_FOCUS = "RowTable"
    DEFAULT_CSS = """
    QualityScreen #setup { height: auto; max-height: 3; padding: 0 1; }
    QualityScreen #empty { display: none; height: 1fr; padding: 1 2; }
    QualityScreen RowTable { height: 1fr; min-height: 4; }
    QualityScreen #facts { height: auto; max-height: 60%; padding: 0 1; border-top: solid $primary; }
    QualityScreen JobPanel { height: 40%; max-height: 10; border-top: solid $primary; display: none; }
    QualityScreen.-job JobPanel { display: block; }
    QualityScreen.-job #facts { display: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "measure", "Measure", priority=True, id="quality.measure"),
        Binding("p", "choose_parent", "Parent", id="quality.parent"),
        Binding("e", "edit_settings", "Settings", id="quality.settings"),
        Binding("x", "remove", "Delete", id="quality.remove"),
    ]

    def __init__(self, entry: ModelEntry) -> None:
        super().__init__(entry)
        self._base: ModelEntry | None = None
        self._settings = QualitySettings()
        self._records: list[QualityRecord] = []
        self._to_remove: int | None = None
        self._unsubscribe_rows: Callable[[], None] = lambda: None

    def compose_body(self) -> ComposeResult:
        """Setup, history, figures, job."""
        yield Static(id="setup", markup=False)
        yield Static(
            "No quality has been measured yet.\n\nPress enter to measure this model.", id="empty", markup=False
        )
        yield RowTable()
        yield SettingsPanel(id="facts")
        yield JobPanel()

    def on_mount(self) -> None:
        """Find the parent, read the history."""
        self.query_one(RowTable).add_columns(*COLUMNS)
        self._unsubscribe_rows = self.lab.quality.changed.subscribe(self._on_new_rows)
        self._show_setup()
        self._find_parent()
        self._read()

    def on_unmount(self) -> None:
        """Stop listening."""
        super().on_unmount()
        self._unsubscribe_rows()

    # --- keys ---------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """One measurement at a time."""
        if action == "measure":
            return not (self.is_mounted and self.job is not None and self.job.is_running)
        if action == "remove":
            return bool(self._records)
        return super().check_action(action, parameters)

    @work(group="start", exclusive=True)
    async def action_measure(self) -> None:
        """Start the job."""
        self.clear_failure()
        try:
            record = await self.lab.quality.start(self._entry, self._base, self._settings)
        except EdgetuiError as error:
            self.show_failure(error)
            return
        self.follow_job(record)

    @work(group="dialog", exclusive=True)
    async def action_choose_parent(self) -> None:
        """Take another model to compare with."""
        from edgetui.screens.model_picker import ModelPicker

        entries = [entry for entry in await self.lab.catalog.scan() if entry.name != self._entry.name]
        entry = await self.app.push_screen_wait(ModelPicker(entries, "Compare with which model?"))
        if entry is not None:
            self._base = entry
            self._show_setup()

    @work(group="dialog", exclusive=True)
    async def action_edit_settings(self) -> None:
        """Change what is measured."""
        from edgetui.screens.fields_dialog import Field, FieldsDialog

        fields = [
            Field(QualitySettings, name, label, note, getattr(self._settings, name)) for name, label, note in _FIELDS
        ]
        values = await self.app.push_screen_wait(FieldsDialog("What to measure", fields))
        if values is not None:
            self._settings = msgspec.convert(values, QualitySettings)
            self._show_setup()

    def action_remove(self) -> None:
        """Forget the row under the cursor; wants the key twice."""
        record = self._marked
        if record is None:
            return
        if self._to_remove != record.record_id:
            self._to_remove = record.record_id
            self._show_setup(f"Press x again to delete the row of {record.row.model_name}.")
            return
        self._to_remove = None
        self._show_setup()
        self._remove(record.record_id)

    def on_data_table_row_highlighted(self, _event: DataTable.RowHighlighted) -> None:
        """All figures of the row."""
        if self._to_remove is not None:
            self._to_remove = None
            self._show_setup()
        self._describe()

    # --- work ---------------------------------------------------------------------------------------------

    @work(group="parent", exclusive=True)
    async def _find_parent(self) -> None:
        self._base = await self.lab.quality.base_of(self._entry)
        self._show_setup()

    @work(group="read", exclusive=True)
    async def _read(self) -> None:
        try:
            self._records = await self.lab.quality.history()
        except EdgetuiError as error:
            self.show_failure(error)
            return
        self._fill()

    @work(group="remove")
    async def _remove(self, record_id: int) -> None:
        try:
            await self.lab.quality.remove([record_id])
        except EdgetuiError as error:
            self.show_failure(error)

    def _on_new_rows(self, _none: None) -> None:
        self._read()

    def job_ended(self, record: JobRecord) -> None:
        """Its row takes the place of the job."""
        self._read()
        if record.state == "succeeded":
            self.close_job()

    # --- what is shown ------------------------------------------------------------------------------------

    @property
    def _marked(self) -> QualityRecord | None:
        row = self.query_one(RowTable).cursor_row
        return self._records[row] if 0 <= row < len(self._records) else None

    def _show_setup(self, instead: str = "") -> None:
        settings = self._settings
        against = f"against {self._base.name}" if self._base is not None else "alone: it has no unquantized parent here"
        chunks = f"{settings.chunks} chunks" if settings.chunks else "all chunks"
        what = f"over {settings.text}, {chunks} of {settings.context_tokens} tokens"
        tasks = "and the built-in tasks" if settings.tasks else "without tasks"
        told = [f"{self._entry.name}  {against}", instead or f"{what}, {tasks}"]
        for line in self.query("#setup").results(Static):
            line.update(Content("\n".join(plain_line(text) for text in told)))

    def _fill(self) -> None:
        if not self.has_widgets:
            return
        table = self.query_one(RowTable)
        table.clear()
        self.query_one("#empty").display = not self._records
        table.display = bool(self._records)
        for record in self._records:
            table.add_row(*(Text(plain_line(cell)) for cell in cells(record.row)))
        self._describe()
        self.refresh_bindings()

    def _describe(self) -> None:
        record = self._marked
        facts: list[Setting] = []
        if record is not None:
            at = time.strftime("%Y-%m-%d %H:%M", time.localtime(record.row.measured_at))
            facts = [Setting(label, figure, "") for label, figure in (*lines(record.row), ("Measured at", at))]
        self.query_one(SettingsPanel).show(facts)
