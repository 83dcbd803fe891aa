"""The conversations that are kept: find one by its words, go on with it, write it to a file, delete it."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len, set_cell_size
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from edgetui.core.failures import EdgetuiError
from edgetui.core.plain_text import plain_line
from edgetui.screens.confirm import ConfirmDialog
from edgetui.screens.list_dialog import ListDialog
from edgetui.screens.name_file import NameFileDialog

if TYPE_CHECKING:
    from textual import events
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from edgetui.core.conversations import ConversationRow
    from edgetui.services.conversations import Conversations

_PAUSE_S = 0.15


class ConversationsDialog(ListDialog["str | None"]):
    """`push_screen_wait(ConversationsDialog(...))` gives the id of the one to go on with, None for none."""

    DEFAULT_CSS = """
    ConversationsDialog #said { height: auto; color: $text-error; display: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "take", "Go on with it", priority=True),
        Binding("ctrl+t", "this_model", "This model or all", priority=True),
        Binding("ctrl+x", "export", "Export", priority=True),
        Binding("ctrl+d", "delete", "Delete", priority=True),
    ]

    def __init__(self, conversations: Conversations, model: str, model_name: str) -> None:
        """`model` is the key of the model that is chosen in Run, empty for none."""
        super().__init__()
        self._conversations = conversations
        self._model = model
        self._model_name = model_name
        self._only_model = False
        self._rows: list[ConversationRow] = []
        self.deleted: set[str] = set()
        """Ids of those that were deleted here."""

    def compose(self) -> ComposeResult:
        """Title, filter, list, what went wrong."""
        with Vertical(classes="dialog"):
            yield Static(id="title", classes="dialog-title", markup=False)
            search = Input(placeholder="words that were said", compact=True)
            search.cursor_blink = False
            yield search
            yield OptionList(markup=False, compact=True)
            yield Static(id="said", markup=False)
            yield Static(Content("enter go on  ctrl+x export  ctrl+d delete  ctrl+t this model/all"), classes="muted")

    def on_mount(self) -> None:
        """Show the newest."""
        self._look()

    def on_resize(self, _event: events.Resize) -> None:
        """Rows as wide as there is room."""
        self._show_rows()

    def on_input_changed(self, _event: Input.Changed) -> None:
        """Search when the person stops typing: a look goes through everything that was ever said."""
        self._look(_PAUSE_S)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """A click on a row."""
        self.dismiss(self._rows[event.option_index].id)

    def action_take(self) -> None:
        """Go on with the marked one."""
        if row := self._marked:
            self.dismiss(row.id)

    def action_this_model(self) -> None:
        """Only those of the model in Run, or all."""
        self._only_model = bool(self._model) and not self._only_model
        self._look()

    def action_export(self) -> None:
        """Write the marked one to a file."""
        self.run_worker(self._export(), group="export", exclusive=True)

    def action_delete(self) -> None:
        """Delete the marked one, after a yes."""
        self.run_worker(self._delete(), group="delete", exclusive=True)

    @property
    def _marked(self) -> ConversationRow | None:
        marked = self.query_one(OptionList).highlighted
        return self._rows[marked] if marked is not None and marked < len(self._rows) else None

    def _look(self, pause_s: float = 0.0) -> None:
        self.run_worker(self._find(pause_s), group="find", exclusive=True)

    async def _find(self, pause_s: float = 0.0) -> None:
        await asyncio.sleep(pause_s)
        try:
            rows = await self._conversations.find(self.query_one(Input).value, self._model if self._only_model else "")
        except EdgetuiError as error:
            self._say(str(error))
            return
        self._rows = rows
        of = f"with {plain_line(self._model_name)}" if self._only_model else "with all models"
        title = f"Conversations {of} ({len(rows)}): type to search, esc closes"
        self.query_one("#title", Static).update(Content(title))
        self._show_rows()

    def _show_rows(self) -> None:
        options = self.query_one(OptionList)
        marked = options.highlighted
        options.clear_options()
        if not self._rows:
            searched = bool(self.query_one(Input).value.strip())
            reason = "No conversation has these words." if searched else "Nothing was said yet: write in Run."
            options.add_option(Option(Content(reason), disabled=True))
            return
        width = max(30, min(76, self.app.size.width) - 6)
        options.add_options([Option(_row(row, width)) for row in self._rows])
        options.highlighted = min(marked or 0, len(self._rows) - 1)

    async def _export(self) -> None:
        row = self._marked
        if row is None:
            return
        title = "Write it to (.md to read, .json for everything): enter takes it, esc closes"

        async def write(name: str) -> Path:
            return await self._conversations.export_to(row.id, Path(name))

        path = await self.app.push_screen_wait(NameFileDialog(f"conversation-{row.id}.md", write, title))
        if path is not None:
            self._say(f"Written: {path}")

    async def _delete(self) -> None:
        row = self._marked
        if row is None:
            return
        question = f"Delete the conversation {plain_line(row.title)[:60]!r} for good?"
        if not await self.app.push_screen_wait(ConfirmDialog(question)):
            return
        try:
            await self._conversations.delete(row.id)
            self.deleted.add(row.id)
        except EdgetuiError as error:
            self._say(str(error))
        await self._find()

    def _say(self, sentence: str) -> None:
        said = self.query_one("#said", Static)
        said.update(Content(plain_line(sentence)))
        said.display = True


def _row(row: ConversationRow, width: int) -> Content:
    when = time.strftime("%m-%d %H:%M", time.localtime(row.changed_at))
    who = set_cell_size(plain_line(row.model_name), 14)
    text = plain_line(row.found or row.title) or "(nothing)"
    room = max(8, width - len(when) - 14 - 2 - 5)
    if cell_len(text) > room:
        text = f"{set_cell_size(text, room - 3)}..."
    return Content(f"{when} {who} {set_cell_size(text, room)} {row.turn_count:>4}")
