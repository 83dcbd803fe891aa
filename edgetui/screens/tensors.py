"""The tensor explorer: every tensor of a model, what quantizing did to it, and what another type would do."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import msgspec
from msgspec import Meta
from textual import work
from textual.binding import Binding
from textual.containers import Container, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from edgetui.core.failures import EdgetuiError, Failure
from edgetui.core.ggml import TENSOR_TYPES
from edgetui.core.plain_text import plain_line
from edgetui.core.quant_options import TensorOverride, parse_type
from edgetui.core.recipe_search import RecipeSettings, parse_file_size
from edgetui.core.tensor_errors import (
    COLUMNS,
    exact_pattern,
    matches,
    sorted_rows,
    summary,
    tensor_rows,
)
from edgetui.core.tensor_text import tensor_lines, trial_lines
from edgetui.screens.base import LabScreen
from edgetui.screens.fields_dialog import Field, FieldsDialog
from edgetui.services.tensors import what_to_try
from edgetui.widgets.filter_input import FilterInput
from edgetui.widgets.tensor_table import TensorTable

if TYPE_CHECKING:
    from textual import events
    from textual.app import ComposeResult
    from textual.binding import BindingType
    from textual.widgets import Input

    from edgetui.core.models import ModelEntry, TensorItem
    from edgetui.core.tensor_errors import TensorError, TensorRow
    from edgetui.worker.job_events import JobProgress

_TYPES = {kind.name: kind for kind in TENSOR_TYPES.values()}


class TypeForm(msgspec.Struct, frozen=True):
    """What a person wants for tensors."""

    type_name: str = ""

    def __post_init__(self) -> None:
        if self.type_name:
            parse_type(self.type_name)


class RecipeForm(msgspec.Struct, frozen=True):
    """What a person asks of a search."""

    size: Annotated[str, Meta(min_length=1)] = "1 GiB"
    chunks: Annotated[int, Meta(ge=4, le=100_000)] = 24
    choosing_chunks: Annotated[int, Meta(ge=0, le=10_000)] = 4
    bench: bool = True

    def __post_init__(self) -> None:
        parse_file_size(self.size)


class TensorsScreen(LabScreen):
    """A list, with the tensor under the cursor below it or beside it."""

    MODE = "models"
    HELP = (
        "REL ERR is the root mean square of the differences from the parent's weights over that of the parent's weights"
        " themselves; RMSE and MAX are in the weights' own unit. m measures what is not known yet. w quantizes the"
        " marked tensor in memory to every type that its rows divide into. t sets a type for the tensors marked with"
        " space, or the one under the cursor; q takes these types to Quantize. r searches the best type for each tensor"
        " at a size. The filter takes words of names, types and shapes, and nan."
    )
    AUTO_FOCUS = "TensorTable"
    HORIZONTAL_BREAKPOINTS = [(0, "-normal"), (160, "-wide")]  # noqa: RUF012 - Textual's own declaration
    DEFAULT_CSS = """
    TensorsScreen #summary { height: 1; padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis; text-style: bold; }
    TensorsScreen #state { height: 1; padding: 0 1; color: $text-muted; text-wrap: nowrap; text-overflow: ellipsis; }
    TensorsScreen #header { height: 1; color: $text-muted; text-wrap: nowrap; }
    TensorsScreen #both { height: 1fr; layout: vertical; }
    TensorsScreen #list { height: 1fr; min-height: 5; }
    TensorsScreen #about { height: 7; border-top: solid $primary; padding: 0 1; scrollbar-size-vertical: 1; }
    TensorsScreen #about Static { height: auto; text-wrap: nowrap; text-overflow: ellipsis; }
    TensorsScreen.-trials.-normal #about { height: 70%; }
    TensorsScreen.-wide #both { layout: horizontal; }
    TensorsScreen.-wide #list { width: 3fr; height: 1fr; }
    TensorsScreen.-wide #about { width: 1fr; height: 1fr; border-top: none; border-left: solid $primary; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("m", "measure", "Measure", id="tensors.measure"),
        Binding("w", "try_types", "Other types", id="tensors.try"),
        Binding("t", "set_type", "Set type", id="tensors.type"),
        Binding("space", "mark", "Mark", id="tensors.mark"),
        Binding("s", "sort", "Sort", id="tensors.sort"),
        Binding("slash", "filter", "Filter", key_display="/", id="tensors.filter"),
        Binding("q", "quantize", "Quantize", id="tensors.quantize"),
        Binding("r", "recipe", "Recipe", id="tensors.recipe"),
        Binding("p", "choose_parent", "Parent", id="tensors.parent"),
        Binding("a", "mark_all", "Mark all shown", show=False, id="tensors.mark_all"),
    ]

    def __init__(self, entry: ModelEntry) -> None:
        super().__init__()
        self._entry = entry
        self._base: ModelEntry | None = None
        self._items: tuple[TensorItem, ...] = ()
        self._errors: list[TensorError] = []
        self._rows: list[TensorRow] = []
        self._marked: frozenset[str] = frozenset()
        self._sort = 0
        self._trials: list[TensorError] = []
        self._tried = ""
        """The tensor of `_trials`."""
        self._lines = 0
        """Of what is told of the tensor under the cursor."""

    def compose_body(self) -> ComposeResult:
        """What the list is of, the list, the tensor under the cursor."""
        yield Static("Reading...", id="summary", markup=False)
        yield Static(id="state", markup=False)
        yield FilterInput("words of names, types and shapes; nan; esc clears")
        with Container(id="both"):
            with Container(id="list"):
                yield Static(id="header", markup=False)
                yield TensorTable()
            with VerticalScroll(id="about"):
                yield Static(id="tensor", markup=False)

    def on_mount(self) -> None:
        """Read the header, and what is known of the errors."""
        self._read()

    # --- keys ---------------------------------------------------------------------------------------------

    def action_back(self) -> None:
        """Leave the filter, forget trials or marks, dismiss a failure, else back to the list of models."""
        if self.query_one(FilterInput).close():
            self.query_one(TensorTable).focus()
        elif self._tried:
            self._end_trials()
        elif self._marked:
            self._marked = frozenset()
            self._fill()
        elif not self.clear_failure():
            self.app.pop_screen()

    def action_filter(self) -> None:
        """Type to filter."""
        self.query_one(FilterInput).open()

    def action_sort(self) -> None:
        """By the next column."""
        self._sort = (self._sort + 1) % len(COLUMNS)
        self._fill()
        self.query_one(TensorTable).action_go(0)

    def action_mark(self) -> None:
        """Mark the row, or take the mark away, and go on."""
        table = self.query_one(TensorTable)
        if table.row is not None:
            self._marked ^= {table.row.item.name}
            self._fill()
            table.action_move(1)

    def action_mark_all(self) -> None:
        """Mark what the filter lets through."""
        self._marked = frozenset(row.item.name for row in self._shown())
        self._fill()

    def action_measure(self) -> None:
        """Measure against the parent."""
        self._measure()

    def action_choose_parent(self) -> None:
        """Compare with another model."""
        self._choose_parent()

    def action_try_types(self) -> None:
        """The tensor under the cursor in every type."""
        row = self.query_one(TensorTable).row
        if row is not None:
            self._try_types(row.item.name)

    def action_set_type(self) -> None:
        """Ask for a type."""
        self._set_type()

    async def action_quantize(self) -> None:
        """Go on to Quantize with the types that are wanted."""
        source = what_to_try(self._entry, self._base)
        self.app.pop_screen()
        await self.lab_app.open_model_in("quantize", source)

    def action_recipe(self) -> None:
        """Ask for a size and search."""
        self._recipe()

    # --- events -------------------------------------------------------------------------------------------

    def on_input_changed(self, _event: Input.Changed) -> None:
        """Filter as the person types."""
        self._fill()

    def on_input_submitted(self, _event: Input.Submitted) -> None:
        """From the filter to the list."""
        self.query_one(TensorTable).focus()

    def on_tensor_table_moved(self, _message: TensorTable.Moved) -> None:
        """Tell of the tensor under the cursor."""
        self._describe()

    def on_resize(self, _event: events.Resize) -> None:
        """Titles over their columns."""
        self.call_after_refresh(self._show_header)

    # --- work ---------------------------------------------------------------------------------------------

    @work(group="read", exclusive=True)
    async def _read(self) -> None:
        try:
            self._items = await self.lab.tensors.items(self._entry)
            self._base = self._base or await self.lab.tensors.parent_of(self._entry)
            await self._read_errors()
            await self._resume()
        except EdgetuiError as error:
            self.show_failure(error)

    async def _read_errors(self) -> None:
        self._errors = await self.lab.tensors.errors(self._entry, self._base) if self._base else []
        self._fill()
        self._say()

    async def _resume(self) -> None:
        """Follow a measurement that is under way already."""
        for record in await self.lab.jobs.list():
            if record.is_running and (record.kind, record.subject, record.goal) == (
                "tensors",
                self._entry.name,
                "errors",
            ):
                self._follow(record.job_id)
                return

    @work(group="measure", exclusive=True)
    async def _measure(self) -> None:
        if self._base is None:
            self.show_failure(
                Failure("not_found", f"The parent of {self._entry.name} is not known: p chooses the model to compare.")
            )
            return
        try:
            record = await self.lab.tensors.start(self._entry, self._base)
        except EdgetuiError as error:
            self.show_failure(error)
            return
        self._follow(record.job_id)

    @work(group="follow", exclusive=True)
    async def _follow(self, job_id: str) -> None:
        def show(progress: JobProgress) -> None:
            done = f"{progress.done:.0f}/{progress.total or 0:.0f}"
            self._say(f"measuring {done}: {progress.note}; leaving does not stop it (6 Jobs)")

        try:
            await self.lab.tensors.follow(job_id, show)
        except EdgetuiError as error:
            self.show_failure(error)
        if self.has_widgets:
            await self._read_errors()

    @work(group="dialog", exclusive=True)
    async def _choose_parent(self) -> None:
        from edgetui.screens.model_picker import ModelPicker

        entries = [
            entry
            for entry in await self.lab.catalog.scan()
            if entry.format == "gguf" and entry.path != self._entry.path
        ]
        chosen = await self.app.push_screen_wait(ModelPicker(entries, f"Compare {plain_line(self._entry.name)} with"))
        if chosen is not None:
            self._base = chosen
            self._end_trials()
            self._read()

    @work(group="try", exclusive=True)
    async def _try_types(self, tensor: str) -> None:
        self._tried, self._trials = tensor, []
        self.add_class("-trials")
        self._describe()
        source = what_to_try(self._entry, self._base)
        try:
            async with aclosing(self.lab.tensors.try_types(source, tensor)) as found:
                async for trials in found:
                    if self._tried != tensor:
                        return
                    self._trials = trials
                    self._describe()
        except EdgetuiError as error:
            self.show_failure(error)
            self._end_trials()

    @work(group="dialog", exclusive=True)
    async def _set_type(self) -> None:
        row = self.query_one(TensorTable).row
        if row is None:
            return
        names = self._marked or frozenset((row.item.name,))
        what = next(iter(names)) if len(names) == 1 else f"{len(names)} tensors"

        def read(text: str) -> str:
            try:
                wanted = parse_type(text) if text.strip() else ""
            except ValueError as error:
                raise EdgetuiError("bad_request", f"{text!r} cannot be used: {error}.") from error
            if wanted and (unfit := self._unfit(names, wanted)):
                raise EdgetuiError(
                    "bad_request",
                    f"Rows of {unfit[0]}{f' and {len(unfit) - 1} more' if len(unfit) > 1 else ''} do not divide into"
                    f" the blocks of {wanted} ({_TYPES[wanted].block_elements} weights): take another type.",
                )
            return wanted

        field = Field(TypeForm, "type_name", "Type", "nothing takes it back", row.override, parse=read)
        values = await self.app.push_screen_wait(FieldsDialog(f"Type of {plain_line(what)}", [field]))
        if values is None:
            return
        wanted = values["type_name"]
        source = what_to_try(self._entry, self._base)
        patterns = {exact_pattern(name) for name in names}
        kept = [each for each in self.lab.tensors.overrides(source) if each.pattern not in patterns]
        new = [TensorOverride(exact_pattern(name), wanted) for name in sorted(names)] if wanted else []
        self.lab.tensors.set_overrides(source, (*kept, *new))
        self._marked = frozenset()
        self._fill()

    @work(group="dialog", exclusive=True)
    async def _recipe(self) -> None:
        source = what_to_try(self._entry, self._base)
        # A third of an unquantized model is about 5 bits a weight.
        usual = self._entry.size_bytes if source != self._entry else self._entry.size_bytes // 3
        form = RecipeForm(size=f"{max(1, usual // 1024**2)} MiB")
        fields = [
            Field(RecipeForm, "size", "Size", "most that the file may have", form.size),
            Field(RecipeForm, "chunks", "Chunks", "of text that judge the result", form.chunks),
            Field(RecipeForm, "choosing_chunks", "Choosing", "chunks that choose", form.choosing_chunks),
            Field(RecipeForm, "bench", "Bench", "decode rates at the end", form.bench),
        ]

        async def start(values: dict[str, Any]) -> None:
            settings = RecipeSettings(
                target_bytes=parse_file_size(values["size"]),
                chunks=values["chunks"],
                choosing_chunks=values["choosing_chunks"],
                bench=values["bench"],
            )
            record = await self.lab.recipes.start(source, settings)
            self._say(f"job {record.job_id} searches and compares; see Jobs (6)")

        await self.app.push_screen_wait(FieldsDialog(f"Best types for {plain_line(source.name)}", fields, settle=start))

    # --- what is shown ------------------------------------------------------------------------------------

    def _shown(self) -> list[TensorRow]:
        words = self.query_one(FilterInput).words
        return [row for row in sorted_rows(self._rows, COLUMNS[self._sort]) if matches(row, words)]

    def _fill(self) -> None:
        if not self.has_widgets:
            return
        overrides = self.lab.tensors.overrides(what_to_try(self._entry, self._base))
        pairs = tuple((override.pattern, override.type_name) for override in overrides)
        self._rows = tensor_rows(self._items, self._errors, pairs)
        shown = self._shown()
        self.query_one(TensorTable).show(shown, self._marked)
        told = summary(self._rows, len(shown), COLUMNS[self._sort])
        marked = f", {len(self._marked)} marked" if self._marked else ""
        self.query_one("#summary", Static).update(Content(plain_line(f"{self._entry.name}: {told}{marked}")))
        self._show_header()

    def _show_header(self) -> None:
        for table in self.query(TensorTable):
            self.query_one("#header", Static).update(Content(table.header()))

    def _say(self, text: str = "") -> None:
        if not text and self._base is None:
            told = f"which was {self._entry.parent}, is not here" if self._entry.parent else "is not known"
            text = f"no errors: its parent {told}; p chooses one"
        elif not text and self._base is not None:
            missing = len(self._items) - len(self._errors)
            text = f"against {self._base.name}" + (f"; {missing} not measured: m measures" if missing else "")
        for line in self.query("#state").results(Static):
            line.update(Content(plain_line(text)))

    def _end_trials(self) -> None:
        self.workers.cancel_group(self, "try")
        self._tried, self._trials = "", []
        self.remove_class("-trials")
        self._describe()

    def _describe(self) -> None:
        row = self.query_one(TensorTable).row
        lines = [] if row is None else tensor_lines(row)
        if self._tried:
            lines += ["", *trial_lines(self._tried, self._trials)]
        # A layout paints every row of the list anew.
        grown, self._lines = len(lines) != self._lines, len(lines)
        self.query_one("#tensor", Static).update(Content("\n".join(map(plain_line, lines))), layout=grown)

    def _unfit(self, names: frozenset[str], type_name: str) -> list[str]:
        """Tensors whose rows do not divide into a type's blocks."""
        block = _TYPES[type_name].block_elements
        return [item.name for item in self._items if item.name in names and item.shape[0] % block]
