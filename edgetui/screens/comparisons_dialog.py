"""The history of comparisons: look at one, write it into a file, repeat it, or forget it."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from edgetui.core.failures import EdgetuiError
from edgetui.core.plain_text import plain_line, plain_text
from edgetui.core.side_by_side import as_builtins, as_markdown, commands_of
from edgetui.screens.steady import Steady
from edgetui.services.new_file import write_new

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from edgetui.core.side_by_side import ComparisonRecord
    from edgetui.services.side_by_side import SideBySide

_KEYS = "up down  pgup pgdn scroll  o export  ctrl+e repeat  x delete  esc close"


class ComparisonsDialog(Steady, ModalScreen[None]):
    """A list above, the marked one below."""

    DEFAULT_CSS = """
    ComparisonsDialog OptionList { height: auto; max-height: 40%; border: none; padding: 0; background: $surface; }
    ComparisonsDialog VerticalScroll { height: 1fr; border-top: solid $primary; scrollbar-size-vertical: 1; }
    ComparisonsDialog #text { height: auto; }
    ComparisonsDialog #said { height: auto; max-height: 3; color: $text-muted; }
    ComparisonsDialog .option-list--option-highlighted {
        color: $block-cursor-foreground; background: $block-cursor-background; text-style: bold;
    }
    ComparisonsDialog:ansi .option-list--option-highlighted {
        color: ansi_default; background: ansi_default; text-style: bold reverse;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Close"),
        Binding("pagedown", "scroll(1)", "Scroll on", show=False, priority=True),
        Binding("pageup", "scroll(-1)", "Scroll back", show=False, priority=True),
        Binding("o,w", "write", "Export", key_display="o"),
        Binding("ctrl+e", "repeat", "Repeat elsewhere"),
        Binding("x", "remove", "Delete"),
    ]
    AUTO_FOCUS = "OptionList"

    def __init__(self, service: SideBySide) -> None:
        super().__init__()
        self._service = service
        self._records: list[ComparisonRecord] = []
        self._to_remove: int | None = None

    @property
    def marked(self) -> ComparisonRecord | None:
        """The one under the cursor."""
        index = self.query_one(OptionList).highlighted
        return self._records[index] if index is not None and index < len(self._records) else None

    def compose(self) -> ComposeResult:
        """Title, list, the marked one, keys."""
        with Vertical(classes="dialog") as dialog:
            # Answers are long: more room than the app's style sheet gives a dialog.
            dialog.styles.width, dialog.styles.height = "96%", "90%"
            yield Static(Content("Compared before"), classes="dialog-title")
            yield OptionList(markup=False, compact=True)
            with VerticalScroll(can_focus=False):
                yield Static(id="text", markup=False)
            yield Static(Content(_KEYS), id="said")

    def on_mount(self) -> None:
        """Read the history."""
        self.run_worker(self._read(), group="read", exclusive=True)

    def on_option_list_option_highlighted(self, _event: OptionList.OptionHighlighted) -> None:
        """Show the marked one."""
        self._to_remove = None
        record = self.marked
        self.query_one("#text", Static).update(Content(plain_text(as_markdown(record)) if record is not None else ""))
        self.query_one(VerticalScroll).scroll_home(animate=False)
        self._say(_KEYS)

    def action_scroll(self, pages: int) -> None:
        """Scroll the marked one."""
        view = self.query_one(VerticalScroll)
        view.scroll_to(y=view.scroll_y + pages * max(1, view.size.height - 2), animate=False)

    def action_repeat(self) -> None:
        """Show the commands that repeat its answers."""
        from edgetui.screens.repeat_dialog import RepeatDialog

        if (record := self.marked) is not None:
            commands = [command for answer in record.compared.columns for command in commands_of(answer)]
            self.app.push_screen(RepeatDialog("these answers, column by column,", commands))

    def action_write(self) -> None:
        """Write the marked one as Markdown, or as JSON by the name's ending."""
        if self.marked is not None:
            self.run_worker(self._write(self.marked), group="write", exclusive=True)

    def action_remove(self) -> None:
        """Forget the marked one; the key is wanted twice."""
        record = self.marked
        if record is None:
            return
        if self._to_remove != record.record_id:
            self._to_remove = record.record_id
            self._say(f"Press x again to forget comparison {record.record_id}.")
            return
        self.run_worker(self._remove(record), group="read", exclusive=True)

    async def _read(self) -> None:
        try:
            self._records = await self._service.history()
        except EdgetuiError as error:
            self._say(str(error))
            return
        listed = self.query_one(OptionList)
        listed.clear_options()
        if not self._records:
            listed.add_option(Option(Content("Nothing has been compared yet."), disabled=True))
            return
        listed.add_options([Option(Content(_row(record))) for record in self._records])
        listed.highlighted = 0

    async def _remove(self, record: ComparisonRecord) -> None:
        try:
            await self._service.forget(record.record_id)
        except EdgetuiError as error:
            self._say(str(error))
            return
        await self._read()

    async def _write(self, record: ComparisonRecord) -> None:
        from edgetui.screens.name_file import NameFileDialog

        wanted = Path.cwd() / f"comparison-{record.record_id}.md"
        title = "Export as .md or .json: enter writes it, esc closes"

        async def write(name: str) -> Path:
            return await asyncio.to_thread(write_new, Path(name), _text_for(Path(name), record))

        path = await self.app.push_screen_wait(NameFileDialog(str(wanted), write, title))
        if path is not None:
            self._say(f"Written to {path}.")

    def _say(self, text: str) -> None:
        self.query_one("#said", Static).update(Content(plain_line(text)))


def _row(record: ComparisonRecord) -> str:
    compared = record.compared
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(compared.asked_at))
    names = " | ".join(answer.label for answer in compared.columns)
    return plain_line(f"{record.record_id:>4}  {when}  {compared.prompt[:60]}  {names}")


def _text_for(path: Path, record: ComparisonRecord) -> str:
    import json

    if path.suffix == ".json":
        return json.dumps(as_builtins(record), indent=2, ensure_ascii=False) + "\n"
    return as_markdown(record)
