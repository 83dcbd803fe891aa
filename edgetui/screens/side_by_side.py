"""Several models or settings answering the same prompt in columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding
from textual.content import Content
from textual.widgets import Static

from edgetui.core.failures import EdgetuiError, Failure
from edgetui.core.model_text import FORMAT_TITLES
from edgetui.core.side_by_side import LEAST_COLUMNS, MOST_COLUMNS, column_traits, commands_of
from edgetui.screens.base import LabScreen
from edgetui.screens.side_by_side_feed import ColumnsFeed
from edgetui.widgets.compare_column import CompareColumn
from edgetui.widgets.plain_box import Row
from edgetui.widgets.prompt_input import PromptInput

if TYPE_CHECKING:
    from textual import events
    from textual.app import ComposeResult
    from textual.binding import BindingType
    from textual.worker import Worker

    from edgetui.app import EdgetuiApp
    from edgetui.core.models import ModelEntry
    from edgetui.core.run_settings import LoadSettings, SamplingSettings

COLUMN_CELLS = 38
"""Least width at which figures and text are readable; with less room only some of the columns are shown."""


async def open_side_by_side(
    app: EdgetuiApp,
    entry: ModelEntry | None = None,
    load: LoadSettings | None = None,
    sampling: SamplingSettings | None = None,
    system_prompt: str | None = None,
) -> None:
    """Show the comparison over Run, with a column of this model and settings."""
    await app.open_mode("run")
    if not isinstance(app.screen, SideBySideScreen):
        await app.push_screen(SideBySideScreen(entry, load, sampling, system_prompt))
    elif entry is not None:
        await app.screen.open_model(entry)


class SideBySideScreen(LabScreen):
    """Columns, and one prompt for all of them."""

    MODE = "run"
    HELP = (
        "The same prompt to two to four models, or to one model under other settings. One after another no column runs"
        " beside another; together they share the machine, and their figures say so. tab moves between the columns;"
        " keys such as ctrl+o and ctrl+s speak to the marked one. Every column keeps its own conversation, and every"
        " prompt goes to the history (ctrl+l). Out of the prompt (esc), 1 to 4 note which answer is best."
    )
    AUTO_FOCUS = "PromptInput"
    DEFAULT_CSS = """
    SideBySideScreen #how { height: 1; text-wrap: nowrap; text-overflow: ellipsis; }
    SideBySideScreen #columns { height: 1fr; }
    SideBySideScreen #prompt { height: auto; border-top: solid $primary; }
    SideBySideScreen #prompt > Static { width: 2; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "stop", "Stop all", priority=True, id="compare.stop"),
        # Said again: a key bound here hides what the base class binds to it.
        Binding("escape", "back", "Back", show=False, id="back"),
        Binding("ctrl+x", "stop_one", "Stop this", priority=True, id="compare.stop_one"),
        Binding("tab", "move(1)", "Column", priority=True, id="compare.next"),
        Binding("shift+tab", "move(-1)", "Column before", show=False, priority=True, id="compare.previous"),
        Binding("ctrl+o", "choose_model", "Model", priority=True, id="compare.model"),
        Binding("ctrl+s", "settings", "Settings", priority=True, id="compare.settings"),
        Binding("ctrl+a", "add", "Add", priority=True, id="compare.add"),
        Binding("ctrl+d", "remove", "Take away", priority=True, id="compare.remove"),
        Binding("ctrl+t", "together", "Together", priority=True, id="compare.together"),
        Binding("ctrl+n", "new_conversation", "New", priority=True, id="compare.new"),
        Binding("ctrl+e", "repeat", "Repeat elsewhere", priority=True, id="compare.repeat"),
        Binding("ctrl+l", "history", "History", priority=True, id="compare.history"),
        Binding("ctrl+y", "copy_answer", "Copy this answer", show=False, priority=True, id="compare.copy"),
        Binding("enter", "write", "Write", show=False),
        *(
            Binding(str(number), f"prefer({number})", "Best answer", show=number == 1, key_display="1-4")
            for number in range(1, MOST_COLUMNS + 1)
        ),
        Binding("pageup", "scroll(-1)", "Scroll back", show=False, priority=True),
        Binding("pagedown", "scroll(1)", "Scroll on", show=False, priority=True),
    ]

    def __init__(
        self,
        entry: ModelEntry | None = None,
        load: LoadSettings | None = None,
        sampling: SamplingSettings | None = None,
        system_prompt: str | None = None,
    ) -> None:
        """Begin with the columns that are there, and one of this model and settings if it is not among them."""
        super().__init__()
        self._service = self.lab.side_by_side
        columns = self._service.columns
        if not columns and system_prompt is not None:
            self._service.system_prompt = system_prompt
        if entry is not None and len(columns) < MOST_COLUMNS and all(column.entry != entry for column in columns):
            self._service.add(entry, load, sampling)
        self._columns: list[CompareColumn] = []
        self._how = Static(id="how", markup=False)
        self._prompt = PromptInput()
        self._current = 0
        self._feed = ColumnsFeed(self.lab_app, self._service)
        self._work: Worker[None] | None = None

    def compose_body(self) -> ComposeResult:
        """How it is measured, the columns, the prompt."""
        yield self._how
        yield Row(id="columns")
        with Row(id="prompt"):
            yield Static(">", markup=False)
            yield self._prompt

    def on_mount(self) -> None:
        """Show the columns that are there; a second one is asked for."""
        self.run_worker(self._begin(), group="begin")

    def on_screen_resume(self) -> None:
        """Whoever comes here comes to write."""
        self._prompt.focus()

    def on_resize(self, _event: events.Resize) -> None:
        """As many columns as there is room for."""
        self._arrange()

    async def open_model(self, entry: ModelEntry) -> None:
        """One more column."""
        try:
            self._service.add(entry)
        except EdgetuiError as error:
            self.show_failure(error)
        await self._make_columns()

    # --- keys ---------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only what makes sense now."""
        busy, count = self._service.is_asking, len(self._columns)
        if action in ("stop", "stop_one"):
            return busy
        if action in ("choose_model", "settings", "remove"):
            return bool(count) and not busy
        if action == "add":
            return count < MOST_COLUMNS and not busy
        if action in ("together", "new_conversation"):
            return not busy
        if action == "move":
            return count > 1
        if action == "repeat":
            return self._feed.record is not None
        if action == "prefer":
            number = parameters[0]
            return self._feed.record is not None and isinstance(number, int) and number <= count
        return True

    def action_back(self) -> None:
        """Out of the prompt first, so that single keys work; then back."""
        if self._prompt.has_focus and not self.clear_failure():
            if self._columns:
                self._columns[self._current].transcript.focus()
            else:
                self.app.pop_screen()
        elif not self._prompt.has_focus and not self.clear_failure():
            self.app.pop_screen()

    def action_write(self) -> None:
        """Back into the prompt."""
        self._prompt.focus()

    async def action_stop(self) -> None:
        """End all answers; those that have not begun do not begin."""
        await self._service.stop()

    async def action_stop_one(self) -> None:
        """End the answer of the marked column; the others go on."""
        await self._service.stop(self._current)

    def action_move(self, step: int) -> None:
        """Mark another column."""
        self._current = (self._current + step) % len(self._columns)
        self._arrange()
        if not self._prompt.has_focus:
            self._columns[self._current].transcript.focus()

    def action_together(self) -> None:
        """All at once, or one after another."""
        self._service.together = not self._service.together
        self._show_how()

    def action_new_conversation(self) -> None:
        """Forget what was said in every column; the models stay loaded."""
        self._service.clear()
        self._feed.clear()

    def action_choose_model(self) -> None:
        """Another model for the marked column."""
        self.run_worker(self._choose_model(self._current), group="dialog", exclusive=True)

    def action_add(self) -> None:
        """One more column."""
        self.run_worker(self._choose_model(None), group="dialog", exclusive=True)

    def action_settings(self) -> None:
        """Other settings for the marked column."""
        self.run_worker(self._edit_settings(), group="dialog", exclusive=True)

    async def action_remove(self) -> None:
        """Take the marked column away."""
        await self._service.remove(self._current)
        await self._make_columns()

    def action_repeat(self) -> None:
        """Show the commands that repeat the marked column's last answer."""
        from edgetui.screens.repeat_dialog import RepeatDialog

        record = self._feed.record
        if record is not None and self._current < len(record.compared.columns):
            answer = record.compared.columns[self._current]
            self.app.push_screen(RepeatDialog(f"the answer of {answer.label}", commands_of(answer)))

    def action_history(self) -> None:
        """Look through what was compared before."""
        from edgetui.screens.comparisons_dialog import ComparisonsDialog

        self.app.push_screen(ComparisonsDialog(self._service))

    def action_copy_answer(self) -> None:
        """Put the marked column's last answer on the terminal's clipboard."""
        if self._columns and (answer := self._columns[self._current].transcript.last_answer):
            self.app.copy_to_clipboard(answer)

    async def action_prefer(self, number: int) -> None:
        """Note which answer is best; the same key again takes that back."""
        try:
            await self._feed.prefer(number - 1)
        except EdgetuiError as error:
            self.show_failure(error)
        self._arrange()

    def action_scroll(self, pages: int) -> None:
        """Scroll the marked column while the prompt keeps the focus."""
        if self._columns:
            transcript = self._columns[self._current].transcript
            transcript.scroll_to(y=transcript.scroll_y + pages * max(1, transcript.size.height - 2), animate=False)

    def on_prompt_input_submitted(self, message: PromptInput.Submitted) -> None:
        """Enter."""
        if self._service.is_asking:
            self.show_failure(Failure("busy", "The columns are still at work: esc stops them."))
            return
        self.clear_failure()
        self._prompt.remember(message.text)
        self._work = self.run_worker(self._ask(message.text), group="ask", exclusive=True)

    # --- work ---------------------------------------------------------------------------------------------

    async def _begin(self) -> None:
        await self._make_columns()
        if len(self._service.columns) < LEAST_COLUMNS:
            self.action_add()

    async def _ask(self, text: str) -> None:
        self._how_now("asking all columns")
        try:
            await self._feed.ask(text, self._how_now, self.refresh_bindings)
        except EdgetuiError as error:
            self._prompt.restore(text)
            self.show_failure(error)
        finally:
            if self.has_widgets:
                self._arrange()

    async def _choose_model(self, index: int | None) -> None:
        from edgetui.screens.model_picker import ModelPicker

        try:
            entries = [*await self.lab.servers.entries(), *await self.lab.catalog.scan()]
        except EdgetuiError as error:
            self.show_failure(error)
            return
        which = f"column {len(self._columns) + 1}" if index is None else f"column {index + 1}"
        entry = await self.app.push_screen_wait(ModelPicker(entries, f"Which model for {which}"))
        if entry is None:
            return
        columns = self._service.columns
        if index is None:
            # The settings of the column before, so that only the model differs until something else is wanted.
            before = columns[-1] if columns else None
            self._service.add(entry, before.load if before else None, before.sampling if before else None)
            self._current = len(columns) - 1
        else:
            columns[index].entry = entry
        await self._make_columns()

    async def _edit_settings(self) -> None:
        from edgetui.core.run_settings import RunSettings
        from edgetui.screens.run_settings_dialog import RunSettingsDialog

        column = self._service.columns[self._current]
        settings = RunSettings(column.load, column.sampling, self._service.system_prompt)
        dialog = RunSettingsDialog(settings, column.entry, self.lab.profiles, "")
        values = await self.app.push_screen_wait(dialog)
        if values is not None:
            column.load, column.sampling, self._service.system_prompt = dialog.chosen(values).settings
            self._arrange()

    # --- what is shown ------------------------------------------------------------------------------------

    async def _make_columns(self) -> None:
        """As many widgets as there are columns, each with its conversation."""
        count = len(self._service.columns)
        while len(self._columns) > count:
            await self._columns.pop().remove()
        while len(self._columns) < count:
            made = CompareColumn()
            made.set_class(bool(self._columns), "-later")
            self._columns.append(made)
            await self.query_one("#columns").mount(made)
        self._current = min(self._current, max(0, count - 1))
        self._feed.show(self._columns)
        self._arrange()

    def _arrange(self) -> None:
        """Titles, the columns that there is room for, and the keys that hold now."""
        room = max(1, self.size.width // COLUMN_CELLS)
        first = max(0, self._current - room + 1)
        shown = range(first, min(first + room, len(self._columns)))
        traits = column_traits([(column.entry, column.load, column.sampling) for column in self._service.columns])
        for index, (widget, column) in enumerate(zip(self._columns, self._service.columns, strict=False)):
            widget.display = index in shown
            entry = column.entry
            what = " ".join(filter(None, (FORMAT_TITLES[entry.format], entry.quant_type, traits[index])))
            best = "best: " if self._feed.preferred == index else ""
            widget.set_title(f"{index + 1} {best}{entry.name}", what, current=index == self._current)
        self._show_how()
        self.refresh_bindings()

    def _show_how(self) -> None:
        room = max(1, self.size.width // COLUMN_CELLS)
        how = "together, sharing the machine" if self._service.together else "one after another"
        count = len(self._columns)
        if not count:
            self._how_now("No columns yet: ctrl+a adds one")
            return
        hidden = f"; {min(room, count)} shown, tab moves" if count > room else ""
        self._how_now(f"Side by side: {count} column{'s' if count > 1 else ''}, {how}{hidden}")

    def _how_now(self, text: str) -> None:
        self._how.update(Content(text))
