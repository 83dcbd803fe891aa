"""What the screens have in common that measure one model by a job and list what was measured before."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Generic, Protocol, TypeVar

import msgspec
from rich.text import Text
from textual import work
from textual.content import Content
from textual.widgets import DataTable, Static

from edgetui.core.failures import EdgetuiError
from edgetui.core.plain_text import plain_line
from edgetui.screens.model_job_screen import ModelJobScreen
from edgetui.widgets.row_table import RowTable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from edgetui.core.jobs import JobRecord
    from edgetui.core.models import ModelEntry
    from edgetui.services.signals import Signal


class Measured(Protocol):
    """A row of a history."""

    @property
    def record_id(self) -> int:
        """Its number in the history."""


Record = TypeVar("Record", bound=Measured)
KeptRecord = TypeVar("KeptRecord", bound=Measured, covariant=True)
Settings = TypeVar("Settings", bound=msgspec.Struct)


class History(Protocol[KeptRecord]):
    """The service that keeps the rows."""

    @property
    def changed(self) -> Signal[None]:
        """Published with a new row, or with one less."""

    async def history(self) -> Sequence[KeptRecord]:
        """All rows, newest first."""

    async def remove(self, record_ids: Sequence[int]) -> int:
        """Forget rows; returns how many there were."""


class MeasuredScreen(ModelJobScreen, Generic[Record, Settings]):
    """Subclasses compose `#setup`, `#empty`, a `RowTable` and a `JobPanel`, and say what is measured and shown.

    They bind the actions `measure`, `edit_settings` and `remove`.
    """

    LIST = AUTO_FOCUS = "RowTable"
    COLUMNS: ClassVar[Sequence[str]]
    """Of the table."""
    FORM_TITLE: ClassVar[str]
    FORM: ClassVar[Sequence[tuple[str, str, str]]]
    """Fields of the settings that can be changed: name, label, note."""

    def __init__(self, entry: ModelEntry, settings: Settings) -> None:
        """`settings` are what is measured until the person says otherwise."""
        super().__init__(entry)
        self._settings = settings
        self._records: Sequence[Record] = ()
        self._to_remove: int | None = None
        self._unsubscribe_rows: Callable[[], None] = lambda: None

    def on_mount(self) -> None:
        """Read the history, and again whenever it changes."""
        self.query_one(RowTable).add_columns(*self.COLUMNS)
        self._unsubscribe_rows = self.history.changed.subscribe(self._on_new_rows)
        self._show_setup()
        self._read()

    def on_unmount(self) -> None:
        """Stop listening."""
        super().on_unmount()
        self._unsubscribe_rows()

    # --- what a subclass says -----------------------------------------------------------------------------

    @property
    def history(self) -> History[Record]:
        """Where the rows are kept."""
        raise NotImplementedError

    async def start(self) -> JobRecord:
        """Start the job that measures; may raise `EdgetuiError`."""
        raise NotImplementedError

    def cells(self, record: Record) -> Iterable[str]:
        """A row of the table."""
        raise NotImplementedError

    def removal(self, record: Record) -> str:
        """What is deleted with a row; ends `Press x again to delete ...`."""
        raise NotImplementedError

    def setup(self) -> tuple[str, str]:
        """Two lines: what is measured, and how."""
        raise NotImplementedError

    def describe(self) -> None:
        """Show the figures of the marked row, if any."""
        raise NotImplementedError

    def note_of(self, name: str, note: str) -> str:
        """What stands beside a field of the form."""
        return note

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
            record = await self.start()
        except EdgetuiError as error:
            self.show_failure(error)
            return
        self.follow_job(record)

    @work(group="dialog", exclusive=True)
    async def action_edit_settings(self) -> None:
        """Change what is measured, and how."""
        from edgetui.screens.fields_dialog import Field, FieldsDialog

        fields = [
            Field(type(self._settings), name, label, self.note_of(name, note), getattr(self._settings, name))
            for name, label, note in self.FORM
        ]
        values = await self.app.push_screen_wait(FieldsDialog(self.FORM_TITLE, fields))
        if values is not None:
            self._settings = msgspec.structs.replace(self._settings, **values)
            self._show_setup()

    def action_remove(self) -> None:
        """Forget the row under the cursor; wants the key twice."""
        record = self._marked
        if record is None:
            return
        if self._to_remove != record.record_id:
            self._to_remove = record.record_id
            self._show_setup(f"Press x again to delete {self.removal(record)}.")
            return
        self._to_remove = None
        self._show_setup()
        self._remove(record.record_id)

    def on_data_table_row_highlighted(self, _event: DataTable.RowHighlighted) -> None:
        """All figures of the row; a subclass's own handler comes first."""
        if self._to_remove is not None:
            self._to_remove = None
            self._show_setup()
        self.describe()
        self.refresh_bindings()

    # --- work ---------------------------------------------------------------------------------------------

    @work(group="read", exclusive=True)
    async def _read(self) -> None:
        try:
            self._records = await self.history.history()
        except EdgetuiError as error:
            self.show_failure(error)
            return
        self._fill()

    @work(group="remove")
    async def _remove(self, record_id: int) -> None:
        try:
            await self.history.remove([record_id])
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
    def _marked(self) -> Record | None:
        row = self.query_one(RowTable).cursor_row
        return self._records[row] if 0 <= row < len(self._records) else None

    def _show_setup(self, instead: str = "") -> None:
        """`instead` takes the place of how it is measured."""
        what, how = self.setup()
        for line in self.query("#setup").results(Static):
            line.update(Content("\n".join(plain_line(text) for text in (what, instead or how))))

    def _fill(self) -> None:
        if not self.has_widgets:
            return
        table = self.query_one(RowTable)
        table.clear()
        self.query_one("#empty").display = not self._records
        table.display = bool(self._records)
        for record in self._records:
            table.add_row(*(Text(plain_line(cell)) for cell in self.cells(record)))
        self.describe()
        self.refresh_bindings()
