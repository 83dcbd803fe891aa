"""Soaks, A/B comparisons, autotunes, load times and loads of servers: a list, and the charts of one."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static

from edgetui.core.bench_details import machine_text
from edgetui.core.failures import EdgetuiError
from edgetui.core.repeat_studies import study_commands
from edgetui.core.server_load import ServerLoadResult
from edgetui.core.server_load_text import load_asked, load_lines, load_problems, load_subject
from edgetui.core.study_text import energy_lines, kind_of, study_charts, study_line, subjects_of
from edgetui.screens.steady import Steady
from edgetui.widgets.chart_panel import ChartPanel

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from edgetui.core.studies import Study
    from edgetui.services.bench import Bench

_KEYS = "Studies: up down choose, pgup pgdn scroll, y repeats, x deletes, esc closes"
_NONE = "No soak, A/B comparison, autotune, load time or load test has been measured: close this and press w."


class StudiesScreen(Steady, ModalScreen[None]):
    """The newest first; what is under the cursor is drawn below."""

    DEFAULT_CSS = """
    StudiesScreen #studies { width: 100%; height: 100%; padding: 0 1; background: $surface; border: round $primary; }
    StudiesScreen OptionList { height: auto; max-height: 30%; border: none; padding: 0; background: $surface;
        text-wrap: nowrap; text-overflow: ellipsis; }
    StudiesScreen VerticalScroll { height: 1fr; border-top: solid $primary; }
    StudiesScreen:ansi .option-list--option-highlighted {
        color: ansi_default; background: ansi_default; text-style: bold reverse;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Close"),
        Binding("y,ctrl+e", "repeat", "Repeat"),
        Binding("x", "remove", "Delete"),
        Binding("pageup", "scroll(-1)", "Up", priority=True, show=False),
        Binding("pagedown", "scroll(1)", "Down", priority=True, show=False),
    ]
    AUTO_FOCUS = "OptionList"

    def __init__(self, bench: Bench) -> None:
        super().__init__()
        self._bench = bench
        self._studies: list[Study] = []

    def compose(self) -> ComposeResult:
        """Title, list, charts."""
        with Vertical(id="studies"):
            yield Static(Content(_KEYS), classes="dialog-title")
            yield OptionList(markup=False, compact=True)
            with VerticalScroll(can_focus=False):
                yield ChartPanel()

    def on_mount(self) -> None:
        """Read them."""
        self._read()

    def on_option_list_option_highlighted(self, _event: OptionList.OptionHighlighted) -> None:
        """Draw it."""
        self._draw()

    def action_scroll(self, pages: int) -> None:
        """Scroll the charts while the list keeps the focus."""
        scroll = self.query_one(VerticalScroll)
        scroll.scroll_to(y=scroll.scroll_y + pages * max(1, scroll.size.height - 1), animate=False)

    @work(group="remove")
    async def action_remove(self) -> None:
        """Forget the one under the cursor, once it is confirmed."""
        from edgetui.screens.confirm import ConfirmDialog

        study = self._current
        if study is None or not await self.app.push_screen_wait(ConfirmDialog(f"Delete this? {study_line(study)}")):
            return
        try:
            await self._bench.remove_studies([study.study_id])
        except EdgetuiError as error:
            self.query_one(ChartPanel).show((error.failure.message,), ())
        else:
            self._read()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Nothing is repeated of an empty list."""
        if action == "repeat":
            return self._current is not None
        return True

    def action_repeat(self) -> None:
        """The commands that repeat the one under the cursor."""
        from edgetui.screens.repeat_dialog import RepeatDialog

        if self._current is not None:
            result = self._current.result
            what = f"{kind_of(result)} of {' | '.join(subjects_of(result))}"
            self.app.push_screen(RepeatDialog(what, study_commands(result)))

    @property
    def _current(self) -> Study | None:
        place = self.query_one(OptionList).highlighted
        return self._studies[place] if place is not None and place < len(self._studies) else None

    @work(exclusive=True, group="read")
    async def _read(self) -> None:
        try:
            self._studies = await self._bench.studies()
        except EdgetuiError as error:
            self.query_one(ChartPanel).show((error.failure.message,), ())
            return
        options = self.query_one(OptionList)
        options.clear_options()
        options.add_options([Content(study_line(study)) for study in self._studies])
        options.display = bool(self._studies)
        if self._studies:
            options.highlighted = 0
        self._draw()

    def _draw(self) -> None:
        study = self._current
        if study is None:
            self.query_one(ChartPanel).show((_NONE,), ())
            return
        result, table = study.result, None
        told = [result.sentence, *energy_lines(result)]
        if isinstance(result, ServerLoadResult):
            told += [load_subject(result), load_asked(result.settings), *load_problems(result)]
            table = partial(load_lines, result)
        told.append(f"{'asked from ' if table else ''}{machine_text(study.machine)}")
        rows = 11 if self.app.size.height < 40 else 14
        self.query_one(ChartPanel).show(told, study_charts(result), rows, table)
        self.query_one(VerticalScroll).scroll_home(animate=False)
