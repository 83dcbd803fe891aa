"""The Hub screen: search models that are not here yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import msgspec
from rich.cells import cell_len
from rich.text import Text
from textual import work
from textual.binding import Binding
from textual.widgets import DataTable, Input, Static

from edgetui.core.failures import EdgetuiError, Failure
from edgetui.core.hub import HUB_FORMATS, HUB_SORTS, HubQuery
from edgetui.core.hub_text import model_marks, offline_line, short_count, short_date
from edgetui.core.plain_text import plain_line
from edgetui.core.rough_fit import rough_fit, rough_order
from edgetui.core.units import MISSING
from edgetui.screens.base import LabScreen
from edgetui.screens.fields_dialog import Field, FieldsDialog
from edgetui.widgets.filter_input import FilterInput
from edgetui.widgets.row_table import RowTable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from textual import events
    from textual.app import ComposeResult
    from textual.binding import BindingType
    from textual.timer import Timer

    from edgetui.core.hub import HubModel
    from edgetui.services.hub import Told

DEBOUNCE_S = 0.3
"""A search begins so long after the last key."""
_ROWS_AHEAD = 20
"""The next page is fetched when so few rows are left below the cursor."""
_COLUMNS = ("Model", "Params", "Here", "Downloads", "Likes", "Changed", "Marks")
_RIGHT = frozenset({"Params", "Downloads", "Likes"})
_NARROW = 110
_NARROW_COLUMNS = ("Model", "Params", "Here", "Downloads")
_NAME_WIDTH, _NARROW_NAME_WIDTH = 50, 44
_WIDTHS = {"Params": 7, "Here": 8, "Downloads": 9, "Likes": 6, "Changed": 10, "Marks": 40}
SHELVES = (("Phi-4", "phi-4"), ("Qwen3", "qwen3"), ("Gemma 3n", "gemma-3n"))
"""Families that have a shelf of their own, and what their repositories' names hold."""
_FIELDS = (
    ("author", "Author", "whose models, such as Qwen"),
    ("task", "Task", "the hub's name, such as text-generation"),
    ("language", "Language", "two letters, such as de"),
    ("licence", "Licence", "the hub's name, such as apache-2.0"),
    ("gated", "Asks consent", "true, false, or empty for both"),
    ("least_billions", "Parameters from", "in billions, such as 1"),
    ("most_billions", "Parameters to", "in billions, such as 4"),
    ("quant_type", "Type", "of a GGUF in it, such as Q4_K_M"),
)


class HubScreen(LabScreen):
    """A list that grows as one moves down."""

    MODE = "hub"
    HELP = (
        "Models on the hub. / searches, enter opens a model with its variants, f, s and p change format, order and"
        " shelf. HERE is a rough word on memory from the parameters alone, for a 4-bit file; the model's page knows"
        " more. Without a link, what was seen before is listed."
    )
    AUTO_FOCUS = "DataTable"
    DEFAULT_CSS = """
    HubScreen #asked { height: auto; max-height: 3; color: $text-muted; padding: 0 1; }
    HubScreen DataTable { height: 1fr; min-height: 4; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open_page", "Open", priority=True, id="hub.open"),
        Binding("slash", "search", "Search", key_display="/", id="hub.search"),
        Binding("p", "shelf", "Shelf", id="hub.shelf"),
        Binding("f", "format", "Format", id="hub.format"),
        Binding("s", "sort", "Order", id="hub.sort"),
        Binding("l", "filters", "Filters", id="hub.filters"),
        Binding("r", "again", "Again", show=False, id="hub.again"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._query = HubQuery(formats=("gguf",))
        self._by_fit = False
        self._shelf = -1
        self._models: list[HubModel] = []
        self._shown: list[HubModel] = []
        self._pages: AsyncGenerator[Told[list[HubModel]], None] | None = None
        self._has_more = False
        self._problem = ""
        self._available: int | None = None
        self._timer: Timer | None = None
        self._is_narrow = False

    def compose_body(self) -> ComposeResult:
        """What was asked, the search field, the list."""
        yield Static("", id="asked", markup=False)
        yield FilterInput("part of a model's name; enter goes to the list, esc clears")
        yield RowTable()

    def on_mount(self) -> None:
        """Ask for the first page."""
        self._lay_columns()
        self._search()

    def on_resize(self, _event: events.Resize) -> None:
        """Fewer columns where there is little room."""
        if self._is_narrow != (self.size.width < _NARROW):
            self._lay_columns()
            shown, self._shown = self._shown, []
            for model in shown:
                self.query_one(DataTable).add_row(*self._cells(model))
            self._shown = shown

    # --- keys ---------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """There is a page only of a row."""
        return self._marked is not None or self._is_typing if action == "open_page" else True

    def action_search(self) -> None:
        """Type a part of a name."""
        self.query_one(FilterInput).open()

    def action_open_page(self) -> None:
        """The marked model's page; from the search field, back to the list first."""
        if self._is_typing:
            self.query_one(DataTable).focus()
        elif self._marked is not None:
            self.open_repo(self._marked.repo)

    def open_repo(self, repo: str) -> None:
        """Show the page of a model by its name on the hub."""
        from edgetui.screens.hub_page import HubPageScreen

        self.app.push_screen(HubPageScreen(repo))

    def action_shelf(self) -> None:
        """The next family's models; after the last, all again."""
        self._shelf = -1 if self._shelf + 1 == len(SHELVES) else self._shelf + 1
        words = SHELVES[self._shelf][1] if self._shelf >= 0 else ""
        with self.prevent(Input.Changed):
            self.query_one(FilterInput).value = words
        self._ask(text=words)

    def action_format(self) -> None:
        """GGUF, ONNX, MLX, safetensors, all."""
        place = HUB_FORMATS.index(self._query.formats[0]) + 1 if self._query.formats else 0
        self._ask(formats=HUB_FORMATS[place : place + 1])

    def action_sort(self) -> None:
        """The hub's orders, then by what fits here."""
        place = len(HUB_SORTS) if self._by_fit else HUB_SORTS.index(self._query.sort)
        place = (place + 1) % (len(HUB_SORTS) + 1)
        self._by_fit = place == len(HUB_SORTS)
        self._ask(sort="trending" if self._by_fit else HUB_SORTS[place])

    @work(group="dialog", exclusive=True)
    async def action_filters(self) -> None:
        """Ask for author, task, language, licence, consent."""
        fields = [Field(HubQuery, name, label, note, getattr(self._query, name)) for name, label, note in _FIELDS]
        values = await self.app.push_screen_wait(FieldsDialog("Filters", fields))
        if values is None:
            return
        least, most = values["least_billions"], values["most_billions"]
        if least is not None and most is not None and least > most:
            self.show_failure(Failure("bad_request", f"No model has from {least:g}B to {most:g}B: l corrects it."))
            return
        self._ask(**values)

    def action_again(self) -> None:
        """Ask the hub again."""
        self._search()

    def action_back(self) -> None:
        """Leave the search, dismiss a failure, or go back."""
        field = self.query_one(FilterInput)
        if field.has_class("-open"):
            had = bool(field.value)
            with self.prevent(Input.Changed):
                field.close()
            self.query_one(DataTable).focus()
            if had:
                self._ask(text="")
        else:
            super().action_back()

    # --- events -------------------------------------------------------------------------------------------

    def on_input_changed(self, event: Input.Changed) -> None:
        """Search once the person stops typing."""
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(DEBOUNCE_S, lambda: self._ask(text=event.value))

    def on_data_table_row_highlighted(self, _event: DataTable.RowHighlighted) -> None:
        """More rows before the last is reached."""
        self.refresh_bindings()
        if self._has_more and self.query_one(DataTable).cursor_row >= len(self._shown) - _ROWS_AHEAD:
            # At once: of two fetches the second would end the first in the middle, and with it the search.
            self._has_more = False
            self._fetch_more()

    def on_data_table_row_selected(self, _event: DataTable.RowSelected) -> None:
        """A click on the marked row."""
        self.action_open_page()

    # --- work ---------------------------------------------------------------------------------------------

    def _ask(self, **changes: object) -> None:
        query = msgspec.structs.replace(self._query, **changes)
        if query != self._query or "sort" in changes:
            self._query = query
            self._search()

    @work(group="search", exclusive=True)
    async def _search(self) -> None:
        query, self._has_more = self._query, False
        self._say("asking the hub...")
        if self._available is None:
            self._available = (await self.lab.hardware.sample()).memory.available_bytes.value
        pages = self.lab.hub.search(query)
        try:
            told = await anext(pages, None)
        except EdgetuiError as error:
            self._models = []
            self._take([], "Nothing is listed.")
            self.show_failure(error)
            return
        self._pages = pages
        self._models = []
        self._has_more = told is not None and not told.problem
        problem = offline_line(told.problem, told.fetched_at) if told and told.problem else ""
        self._take(told.value if told else [], problem)
        for table in self.query(DataTable):
            table.move_cursor(row=0)

    @work(group="more")
    async def _fetch_more(self) -> None:
        pages = self._pages
        if pages is None:
            return
        try:
            told = await anext(pages, None)
        except EdgetuiError as error:
            self.show_failure(error)
            return
        if pages is self._pages and told is not None:
            self._has_more = True
            self._take(told.value, "")

    # --- how ----------------------------------------------------------------------------------------------

    def _take(self, models: list[HubModel], problem: str) -> None:
        """Add rows; an order of our own needs all of them anew."""
        if not self.has_widgets:
            return
        self._problem = problem
        self._models = self._models + models
        if self._by_fit:
            shown = sorted(self._models, key=lambda model: rough_order(model.parameter_count, self._available))
        else:
            shown = self._models
        table = self.query_one(DataTable)
        marked = self._marked
        if shown[: len(self._shown)] != self._shown or len(shown) < len(self._shown):
            table.clear()
            self._shown = []
        for model in shown[len(self._shown) :]:
            table.add_row(*self._cells(model))
        self._shown = list(shown)
        if marked is not None and marked in self._shown:
            table.move_cursor(row=self._shown.index(marked))
        self._say("")
        self.refresh_bindings()

    def _lay_columns(self) -> None:
        self._is_narrow = self.size.width < _NARROW
        table = self.query_one(DataTable)
        table.clear(columns=True)
        name_width = _NARROW_NAME_WIDTH if self._is_narrow else _NAME_WIDTH
        for column in _NARROW_COLUMNS if self._is_narrow else _COLUMNS:
            table.add_column(column, width=_WIDTHS.get(column, name_width))

    def _cells(self, model: HubModel) -> list[Text]:
        name, width = plain_line(model.repo), _NARROW_NAME_WIDTH if self._is_narrow else _NAME_WIDTH
        if cell_len(name) > width:
            name = name[: width - 2] + ".."
        fit = rough_fit(model.parameter_count, self._available)
        texts = (
            name,
            short_count(model.parameter_count),
            f"~{fit}" if fit else MISSING,
            short_count(model.downloads),
            short_count(model.likes),
            short_date(model.last_modified),
            plain_line(model_marks(model)),
        )
        return [
            Text(text, justify="right" if column in _RIGHT else "left", no_wrap=True)
            for column, text in zip(_COLUMNS, texts, strict=True)
            if not self._is_narrow or column in _NARROW_COLUMNS
        ]

    def _say(self, doing: str) -> None:
        if not self.has_widgets:
            return
        query = self._query
        words = [
            f"{self._query.formats[0]} models" if query.formats else "models of all formats",
            f"with {query.text!r} in the name" if query.text else "",
            f"of {query.author}" if query.author else "",
            query.task,
            query.language,
            query.licence,
            "" if query.gated is None else "that ask for consent" if query.gated else "that ask for no consent",
            "" if query.least_billions is None else f"from {query.least_billions:g}B",
            "" if query.most_billions is None else f"to {query.most_billions:g}B",
            f"with {query.quant_type.upper()}" if query.quant_type else "",
            f"by {'what fits here' if self._by_fit else query.sort}",
        ]
        counted = f"{len(self._shown)}{' so far' if self._has_more else ''}"
        line = f"{', '.join(word for word in words if word)}: {doing or counted}"
        if not doing and not self._shown and not self._problem:
            line += ". Nothing found: / other words, f another format, l other filters"
        self.query_one("#asked", Static).update(plain_line(f"{self._problem} {line}" if self._problem else line))

    @property
    def _is_typing(self) -> bool:
        return self.query_one(FilterInput).has_focus

    @property
    def _marked(self) -> HubModel | None:
        row = self.query_one(DataTable).cursor_row
        return self._shown[row] if 0 <= row < len(self._shown) else None
