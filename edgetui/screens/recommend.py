"""The Choose screen: which model to take here or on another board, by limits that the person sets."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from rich.text import Text
from textual import work
from textual.binding import Binding
from textual.containers import Container, VerticalScroll
from textual.widgets import DataTable, Static

from edgetui.core.failures import EdgetuiError
from edgetui.core.plain_text import plain_line
from edgetui.core.recommendation import Limits
from edgetui.core.recommendation_text import COLUMNS, asked_text, details, download_command, row_cells
from edgetui.screens.base import LabScreen
from edgetui.screens.fields_dialog import Field, FieldsDialog
from edgetui.widgets.facts_panel import FactsPanel
from edgetui.widgets.recommendation_chart import draw_ranking
from edgetui.widgets.row_table import RowTable
from edgetui.widgets.scatter_chart import ScatterChart

if TYPE_CHECKING:
    from textual import events
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from edgetui.core.boards import Board
    from edgetui.core.recommendation import Ranked

_FIELDS = (
    ("least_tps", "Least tok/s", "of decode, context full; 0: any"),
    ("context_tokens", "Context", "tokens"),
    ("memory_gib", "Most memory", "GiB; 0: all that there is"),
    ("most_ttft_s", "First token", "within so many seconds; 0: any"),
    ("prompt_tokens", "of a prompt of", "tokens"),
    ("task", "Task", "chat reasoning code vision; or empty"),
    ("multilingual", "Multilingual", "true: more than English"),
    ("open_licence", "Open licence", "true: MIT or Apache 2.0"),
    ("ungated", "Ungated", "true: no consent needed on the hub"),
    ("watts", "Power", "watts while it decodes; 0: unknown"),
    ("most_joules_per_token", "Energy", "joules a token at most; 0: any"),
)
_NARROW = 110
_NARROW_WITH_ALL = ("#", "Model", "Note")
_NARROW_COLUMNS = ("#", "Model", "Type", "Memory", "tok/s", "MMLU-Pro", "Note")
_RIGHT = frozenset({"#", "Params", "Memory", "tok/s", "TTFT", "MMLU-Pro"})


class RecommendScreen(LabScreen):
    """The ranking, and the marked row's reasons or the chart beside or below it."""

    MODE = "recommend"
    HELP = (
        "Which model to take. Every model of the known families is held against your limits; the list says what to"
        " take, in which type, and the pane why. ~ marks a prediction, < the most that memory bandwidth allows."
    )
    AUTO_FOCUS = "DataTable"
    HORIZONTAL_BREAKPOINTS = [(0, "-normal"), (150, "-wide")]  # noqa: RUF012 - Textual's own declaration
    DEFAULT_CSS = """
    RecommendScreen #asked { height: auto; max-height: 3; color: $text-muted; padding: 0 1; }
    RecommendScreen #both { height: 1fr; layout: vertical; }
    RecommendScreen DataTable { height: auto; max-height: 55%; min-height: 4; }
    RecommendScreen #why { height: 1fr; border-top: solid $primary; padding: 0 1; }
    RecommendScreen ScatterChart { height: 1fr; border-top: solid $primary; display: none; }
    RecommendScreen.-chart ScatterChart { display: block; }
    RecommendScreen.-chart DataTable { max-height: 40%; }
    RecommendScreen.-chart #why { display: none; }
    RecommendScreen.-wide #both { layout: horizontal; }
    RecommendScreen.-wide DataTable { width: 3fr; height: 1fr; max-height: 100%; }
    RecommendScreen.-wide #why { width: 2fr; height: 1fr; border-top: none; border-left: solid $primary; }
    RecommendScreen.-wide ScatterChart { width: 2fr; height: 1fr; border-top: none; border-left: solid $primary; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open_hub", "Hub page", priority=True, id="recommend.hub"),
        Binding("k", "copy_download", "Copy command", show=False, id="recommend.copy"),
        Binding("l", "limits", "Limits", id="recommend.limits"),
        Binding("b", "board", "Board", id="recommend.board"),
        Binding("g", "chart", "Chart", id="recommend.chart"),
        Binding("v", "axis", "Score/size", show=False, id="recommend.axis"),
        Binding("a", "all", "All", id="recommend.all"),
        Binding("c", "calibrate", "Calibrate", id="recommend.calibrate"),
        Binding("r", "again", "Again", show=False, id="recommend.again"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._limits = Limits()
        self._board: Board | None = None
        self._is_here = True
        self._rows: tuple[Ranked, ...] = ()
        self._shown: list[Ranked] = []
        self._lists_all = False
        self._by_score = True
        self._columns: tuple[str, ...] = ()

    def compose_body(self) -> ComposeResult:
        """What was asked, the ranking, and its reasons."""
        yield Static("Ranking models for this machine...", id="asked", markup=False)
        with Container(id="both"):
            yield RowTable()
            with VerticalScroll(id="why", can_focus=False):
                yield FactsPanel()
            yield ScatterChart()

    def on_screen_resume(self) -> None:
        """Memory may have become free and measurements may have come while another screen was shown."""
        if self.is_mounted:
            self._rank()

    def on_resize(self, event: events.Resize) -> None:
        """Fewer columns where there is little room."""
        if self._rows:
            self._fill()

    # --- keys ---------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only this machine can be measured here, and only a known build be downloaded."""
        if action in ("copy_download", "open_hub"):
            return self._marked is not None and bool(download_command(self._marked.choice))
        return self._is_here if action == "calibrate" else True

    async def action_open_hub(self) -> None:
        """The marked row's GGUF builds on the hub, where d downloads."""
        row = self._marked
        if row is not None:
            await self.lab_app.open_repo(row.choice.member.gguf)

    def action_copy_download(self) -> None:
        """Put the command that downloads the marked row into the clipboard."""
        row = self._marked
        if row is not None:
            self.app.copy_to_clipboard(download_command(row.choice))
            self.query_one("#asked", Static).update(plain_line(f"Copied: {download_command(row.choice)}"))

    @work(group="dialog", exclusive=True)
    async def action_limits(self) -> None:
        """Ask for other limits."""
        fields = [Field(Limits, name, label, note, getattr(self._limits, name)) for name, label, note in _FIELDS]
        values = await self.app.push_screen_wait(FieldsDialog("Limits", fields))
        if values is not None:
            self._limits = Limits(**values)
            self._rank()

    @work(group="dialog", exclusive=True)
    async def action_board(self) -> None:
        """Ask about another machine."""
        from edgetui.screens.board_picker import BoardPicker
        from edgetui.services.recommend import board_of, board_profiles

        chosen = await self.app.push_screen_wait(BoardPicker(board_profiles()))
        if chosen is None:
            return
        self._is_here = chosen is True
        self._board = None if isinstance(chosen, bool) else board_of(chosen)
        self.refresh_bindings()
        self._rank()

    def action_chart(self) -> None:
        """The chart instead of the reasons, or back."""
        self.toggle_class("-chart")
        self._show_marked()

    def action_axis(self) -> None:
        """Score or size on the chart's upright axis."""
        self._by_score = not self._by_score
        self._show_marked()

    def action_all(self) -> None:
        """Also list what breaks a limit, or no longer."""
        self._lists_all = not self._lists_all
        self._fill()

    def action_calibrate(self) -> None:
        """Measure this machine; esc ends it."""
        self._calibrate()

    def action_again(self) -> None:
        """Rank again with the memory that is free now."""
        self._rank()

    def action_back(self) -> None:
        """End a calibration, dismiss a failure, or go back."""
        if any(worker.group == "calibrate" and worker.is_running for worker in self.workers):
            self.workers.cancel_group(self, "calibrate")
            self._say_asked()
        elif self.has_class("-chart") and not self.clear_failure():
            self.action_chart()
        else:
            super().action_back()

    # --- events -------------------------------------------------------------------------------------------

    def on_data_table_row_highlighted(self, _event: DataTable.RowHighlighted) -> None:
        """Show the row's reasons."""
        self._show_marked()
        self.refresh_bindings()

    # --- work ---------------------------------------------------------------------------------------------

    @work(group="rank", exclusive=True)
    async def _rank(self) -> None:
        recommender = self.lab.recommender
        if self._is_here:
            self._board = await recommender.this_machine()
        board = self._board
        assert board is not None
        rows = await recommender.rank(self._limits, board)
        if self.is_mounted:
            self._rows = rows
            self._fill()

    @work(group="calibrate", exclusive=True)
    async def _calibrate(self) -> None:
        asked = self.query_one("#asked", Static)

        def show(fraction: float) -> None:
            asked.update(f"Measuring this machine: {fraction:.0%} (esc ends it)")

        show(0.0)
        try:
            await self.lab.speed.calibrate(show)
        except EdgetuiError as error:
            self.show_failure(error)
            self._say_asked()
            return
        self._rank()

    # --- how ----------------------------------------------------------------------------------------------

    def _fill(self) -> None:
        marked = self._marked
        kept = [row for row in self._rows if not row.choice.broken]
        self._shown = list(self._rows) if self._lists_all else kept
        table = self.query_one(DataTable)
        table.clear(columns=True)
        narrow = _NARROW_WITH_ALL if self._lists_all else _NARROW_COLUMNS
        self._columns = narrow if self.size.width < _NARROW else COLUMNS
        listed = []
        for row in self._shown:
            cells = dict(zip(COLUMNS, row_cells(row, with_interval=len(self._columns) == len(COLUMNS)), strict=True))
            listed.append([plain_line(cells[column]) for column in self._columns])
        for column, *cells_below in zip(self._columns, *listed, strict=True):
            # Widths that the table finds by itself are late when it is filled while the window changes.
            table.add_column(column, width=max(map(cell_len, (column, *cells_below))))
        for texts in listed:
            table.add_row(
                *(
                    Text(text, justify="right" if column in _RIGHT else "left")
                    for column, text in zip(self._columns, texts, strict=True)
                )
            )
        self._mark(marked.choice.member.name if marked else "")
        self._say_asked()
        self._show_marked()

    def _say_asked(self) -> None:
        if self._board is None:
            return
        kept = sum(not row.choice.broken for row in self._rows)
        words = f"{asked_text(self._limits, self._board)}: {kept} of {len(self._rows)} keep all limits"
        if self._board.missing:
            words += f". No speeds: {self._board.missing.removesuffix(': edgetui calibrate')}; c measures it"
        self.query_one("#asked", Static).update(plain_line(words))

    def _mark(self, name: str) -> None:
        for number, row in enumerate(self._shown):
            if row.choice.member.name == name:
                self.query_one(DataTable).move_cursor(row=number)
                return

    @property
    def _marked(self) -> Ranked | None:
        number = self.query_one(DataTable).cursor_row
        return self._shown[number] if 0 <= number < len(self._shown) else None

    def _show_marked(self) -> None:
        row = self._marked
        facts = self.query_one(FactsPanel)
        if row is None:
            kept_none = "No model keeps all of these limits: a lists what each one breaks, l changes the limits."
            facts.show([("", kept_none)] if self._rows else [])
        else:
            facts.show(details(row))
            self.query_one("#why", VerticalScroll).scroll_home(animate=False)
        if self.has_class("-chart"):
            scored = self._by_score and any(row.choice.score is not None for row in self._rows)
            name = row.choice.member.name if row else ""
            draw_ranking(self.query_one(ScatterChart), self._shown, name, by_score=scored)
