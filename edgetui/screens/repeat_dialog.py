"""The commands that repeat a run or a row elsewhere: look, copy, or write one into a file."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from edgetui.core.failures import EdgetuiError
from edgetui.core.plain_text import plain_line, plain_text
from edgetui.screens.steady import Steady
from edgetui.services.new_file import write_new
from edgetui.services.tmux_buffer import fill_tmux_buffer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from edgetui.core.repeat_commands import RepeatCommand
    from edgetui.screens.base import LabScreen
    from edgetui.services.chat import Chat

_KEYS = "left right choose   y copy   o export   up down scroll   esc close"


class RepeatDialog(Steady, ModalScreen[None]):
    """`app.push_screen(RepeatDialog("of what", commands))`; there is at least one command."""

    DEFAULT_CSS = """
    RepeatDialog #tools { height: auto; margin-bottom: 1; }
    RepeatDialog VerticalScroll { height: 1fr; scrollbar-size-vertical: 1; }
    RepeatDialog #command { height: auto; }
    RepeatDialog #note { height: auto; color: $text-muted; }
    RepeatDialog #said { height: auto; color: $text-muted; margin-top: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Close"),
        Binding("right,tab", "choose(1)", "Next", priority=True),
        Binding("left,shift+tab", "choose(-1)", "Previous", show=False, priority=True),
        Binding("y,enter,ctrl+y", "copy", "Copy", priority=True),
        Binding("o,w", "write", "Export", key_display="o"),
    ]
    AUTO_FOCUS = "VerticalScroll"

    def __init__(self, what: str, commands: Sequence[RepeatCommand]) -> None:
        super().__init__()
        self._what = what
        self._commands = tuple(commands)
        self._chosen = 0

    @property
    def chosen(self) -> RepeatCommand:
        """The command that is shown."""
        return self._commands[self._chosen]

    def compose(self) -> ComposeResult:
        """Title, tools, the chosen one's command and note, keys."""
        with Vertical(classes="dialog") as dialog:
            # Commands are long: more room than the app's style sheet gives a dialog.
            dialog.styles.width, dialog.styles.height = "96%", "90%"
            yield Static(Content(plain_line(f"Repeat {self._what} elsewhere")), classes="dialog-title")
            yield Static(id="tools", markup=False)
            with VerticalScroll():
                yield Static(id="command", markup=False)
            yield Static(id="note", markup=False)
            yield Static(Content(_KEYS), id="said")

    def on_mount(self) -> None:
        """Show the first."""
        self._show()

    def action_choose(self, step: int) -> None:
        """Another tool."""
        self._chosen = (self._chosen + step) % len(self._commands)
        self._show()

    def action_copy(self) -> None:
        """Hand the command to the terminal's clipboard, which never says whether it took it, and to tmux's buffer."""
        self.app.copy_to_clipboard(self.chosen.text)
        # At once, whatever tmux says and when: without it the terminal's leave is all there is.
        self._say(f"Copied the command of {self.chosen.tool}, if the terminal allows it; o writes it to a file.")
        self.run_worker(self._fill_tmux_buffer(self.chosen), group="copy", exclusive=True)

    async def _fill_tmux_buffer(self, command: RepeatCommand) -> None:
        if await fill_tmux_buffer(command.text) and self.is_mounted and command == self.chosen:
            self._say(
                f"Copied the command of {command.tool} to tmux's buffer, and to the terminal's clipboard if it allows"
                " that; o writes it to a file."
            )

    def action_write(self) -> None:
        """Ask for a name and write the command there."""
        self.run_worker(self._write(), group="dialog", exclusive=True)

    async def _write(self) -> None:
        from edgetui.screens.name_file import NameFileDialog

        command = self.chosen
        wanted = Path.cwd() / ("repeat.py" if command.language == "python" else "repeat.sh")

        async def write(name: str) -> Path:
            return await asyncio.to_thread(write_new, Path(name), command.text.rstrip("\n") + "\n")

        path = await self.app.push_screen_wait(NameFileDialog(str(wanted), write))
        if path is not None:
            self._say(f"Written to {path}.")

    def _show(self) -> None:
        command = self.chosen
        marked = [
            f"[{plain_line(each.tool)}]" if number == self._chosen else f" {plain_line(each.tool)} "
            for number, each in enumerate(self._commands)
        ]
        tools: list[str | tuple[str, str]] = [
            (text, "bold reverse") if number == self._chosen else text for number, text in enumerate(marked)
        ]
        self.query_one("#tools", Static).update(Content.assemble(*tools))
        self.query_one("#command", Static).update(Content(plain_text(command.text.rstrip("\n"))))
        self.query_one("#note", Static).update(Content(plain_text(command.note)))
        self.query_one(VerticalScroll).scroll_home(animate=False)
        self._say(_KEYS)

    def _say(self, text: str) -> None:
        self.query_one("#said", Static).update(Content(plain_line(text)))


async def show_last_answer(screen: LabScreen, chat: Chat) -> None:
    """The dialog for the last answer of a chat; whatever hinders it is said on the screen."""
    from edgetui.core.repeat_commands import run_commands
    from edgetui.core.repeat_conversation import last_answer, last_answer_facts

    settings, conversation, entry, loaded = screen.lab.settings, chat.conversation, chat.entry, chat.loaded
    answer = last_answer(conversation)
    if answer is None:
        return
    try:
        if entry is None or entry.name != answer.model_name:
            entry, loaded = await screen.lab.find_model(answer.model_name), None
    except EdgetuiError as error:
        screen.show_failure(error)
        return
    threads = loaded.threads if loaded is not None else 0
    facts = last_answer_facts(entry, conversation, settings.load, settings.sampling, settings.system_prompt, threads)
    if facts is not None:
        await screen.app.push_screen_wait(RepeatDialog(f"the last answer of {entry.name}", run_commands(facts)))
