"""The Quality screen: measure what a model lost against its unquantized parent, and what was measured before."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.binding import Binding
from textual.widgets import Static

from edgetui.core.quality import QualityRecord, QualitySettings
from edgetui.core.quality_text import COLUMNS, cells, lines
from edgetui.core.units import counted
from edgetui.screens.measured_screen import MeasuredScreen
from edgetui.widgets.job_panel import JobPanel
from edgetui.widgets.row_table import RowTable
from edgetui.widgets.settings_panel import Setting, SettingsPanel

if TYPE_CHECKING:
    from collections.abc import Iterable

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from edgetui.core.jobs import JobKind, JobRecord
    from edgetui.core.models import ModelEntry
    from edgetui.services.quality import Quality


class QualityScreen(MeasuredScreen[QualityRecord, QualitySettings]):
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
    COLUMNS = COLUMNS
    FORM_TITLE = "What to measure"
    FORM = (
        ("text", "Text", "topics, wikitext-2, or a path"),
        ("context_tokens", "Context", "tokens a chunk; the second half is scored"),
        ("chunks", "Chunks", "of the text; 0: all"),
        ("tasks", "Tasks", "try the built-in tasks too"),
        ("threads", "Threads", "0: one a physical core"),
    )
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
        super().__init__(entry, QualitySettings())
        self._base: ModelEntry | None = None

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
        """Find the parent."""
        self._find_parent()

    @property
    def history(self) -> Quality:
        """The history of quality."""
        return self.lab.quality

    async def start(self) -> JobRecord:
        """Measure against the parent."""
        return await self.lab.quality.start(self._entry, self._base, self._settings)

    @work(group="dialog", exclusive=True)
    async def action_choose_parent(self) -> None:
        """Take another model to compare with."""
        from edgetui.screens.model_picker import ModelPicker

        entries = [entry for entry in await self.lab.catalog.scan() if entry.name != self._entry.name]
        entry = await self.app.push_screen_wait(ModelPicker(entries, "Compare with which model?"))
        if entry is not None:
            self._base = entry
            self._show_setup()

    @work(group="parent", exclusive=True)
    async def _find_parent(self) -> None:
        self._base = await self.lab.quality.base_of(self._entry)
        self._show_setup()

    def cells(self, record: QualityRecord) -> Iterable[str]:
        """Its row as the history shows it."""
        return cells(record.row)

    def removal(self, record: QualityRecord) -> str:
        """The row, by its model's name."""
        return f"the row of {record.row.model_name}"

    def setup(self) -> tuple[str, str]:
        """Model and parent, then the text."""
        settings = self._settings
        against = f"against {self._base.name}" if self._base is not None else "alone: it has no unquantized parent here"
        chunks = counted(settings.chunks, "chunk") if settings.chunks else "all chunks"
        what = f"over {settings.text}, {chunks} of {settings.context_tokens} tokens"
        tasks = "and the built-in tasks" if settings.tasks else "without tasks"
        return f"{self._entry.name}  {against}", f"{what}, {tasks}"

    def describe(self) -> None:
        """All figures of the marked row."""
        record = self._marked
        facts: list[Setting] = []
        if record is not None:
            at = time.strftime("%Y-%m-%d %H:%M", time.localtime(record.row.measured_at))
            facts = [Setting(label, figure, "") for label, figure in (*lines(record.row), ("Measured at", at))]
        self.query_one(SettingsPanel).show(facts)
