"""The Run screen: talk to a model and see how fast it answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding
from textual.content import Content
from textual.widgets import Static

from edgetui.core.failures import EdgetuiError, Failure
from edgetui.core.run_settings import RunSettings
from edgetui.screens.base import LabScreen
from edgetui.screens.run_dialogs import RunDialogs
from edgetui.screens.run_figures_feed import LOOK_EVERY_S, FiguresFeed
from edgetui.screens.run_lines import hint_of, model_line
from edgetui.screens.run_session import RunSession
from edgetui.services.chat import Chat
from edgetui.services.hardware.run_meter import RunMeter
from edgetui.services.profiles import model_key
from edgetui.widgets.plain_box import Row
from edgetui.widgets.prompt_input import PromptInput
from edgetui.widgets.run_figures import RunFiguresPanel
from edgetui.widgets.transcript import Transcript

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from textual.app import ComposeResult
    from textual.binding import BindingType
    from textual.timer import Timer

    from edgetui.core.models import ModelEntry
    from edgetui.core.run_figures import RunFigures

_BUSY = Failure("busy", "The model is still at work: esc stops it.")
_NO_TOKENS = (
    "The tokens of this answer are not in memory, only its words: answer anew with ctrl+r, then look at those tokens."
)


class RunScreen(LabScreen):
    """Transcript on the left, figures on the right, prompt below."""

    MODE = "run"
    HELP = (
        "Write a prompt and press enter; the answer streams in. DECODE is the rate of the last second, mean that of"
        " the whole answer without its first token. PREFILL counts only prompt tokens that had to be computed; KV"
        " REUSED says how many stood in the cache already. A figure shown as - was not measured: esc, then f, says why."
        " Everything said is kept with its figures; ctrl+g finds it again, [ and ] step through the answers and show"
        " the figures of each. Esc leaves the prompt, and single keys work then."
    )
    AUTO_FOCUS = "PromptInput"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (70, "-normal"), (130, "-wide")]  # noqa: RUF012 - Textual's own declaration
    DEFAULT_CSS = """
    RunScreen #model { height: 1; text-wrap: nowrap; text-overflow: ellipsis; }
    RunScreen #middle { height: 1fr; }
    RunScreen #prompt { height: auto; border-top: solid $primary; }
    RunScreen #prompt > Static { width: 2; }
    RunScreen.-wide RunFiguresPanel { width: 50; }
    RunScreen.-narrow #middle { layout: vertical; }
    RunScreen.-narrow RunFiguresPanel { width: 1fr; height: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "stop", "Stop", priority=True, id="run.stop"),
        # Said again: a key bound here hides what the base class binds to it.
        Binding("escape", "back", "Back", show=False, id="back"),
        Binding("enter", "write", "Write"),
        Binding("i", "write", "Write", show=False),
        Binding("ctrl+o", "choose_model", "Model", priority=True, id="run.model"),
        Binding("ctrl+s", "settings", "Settings", priority=True, id="run.settings"),
        Binding("ctrl+n", "new_conversation", "New", priority=True, id="run.new"),
        Binding("ctrl+g", "conversations", "Chats", priority=True, id="run.conversations"),
        Binding("ctrl+r", "regenerate", "Again", priority=True, id="run.again"),
        Binding("ctrl+f", "preset", "Preset", priority=True, id="run.preset"),
        Binding("ctrl+t", "inspect", "Tokens", priority=True, id="run.inspect"),
        Binding("ctrl+b", "bench", "Bench this", priority=True, id="run.bench"),
        Binding("ctrl+k", "side_by_side", "Compare", priority=True, id="run.side_by_side"),
        Binding("ctrl+e", "repeat", "Repeat elsewhere", show=False, priority=True, id="run.repeat"),
        Binding("ctrl+l", "unload", "Unload", show=False, priority=True, id="run.unload"),
        Binding("p,alt+p", "prompt_by_task", "Prompts by task", show=False, id="run.prompts"),
        Binding("e,alt+up", "edit", "Edit what was said", show=False, id="run.edit"),
        Binding("a", "alternatives", "Other answers", show=False, id="run.alternatives"),
        Binding("x", "completion", "Continue text, or chat", show=False, id="run.completion"),
        Binding("m,alt+m", "raw_text", "Raw text or Markdown", show=False, id="run.raw"),
        Binding("u,alt+u", "unfold", "Unfold thinking", show=False, id="run.unfold"),
        Binding("f", "figures", "Why a figure is missing", show=False, id="run.figures"),
        Binding("left_square_bracket,alt+pageup", "answer(-1)", "Older answer", show=False, id="run.older"),
        Binding("right_square_bracket,alt+pagedown", "answer(1)", "Newer answer", show=False, id="run.newer"),
        Binding("ctrl+y", "copy_answer", "Copy last answer", show=False, priority=True, id="run.copy"),
        Binding("pageup", "scroll(-1)", "Scroll back", show=False, priority=True),
        Binding("pagedown", "scroll(1)", "Scroll on", show=False, priority=True),
    ]

    def __init__(self) -> None:
        super().__init__()
        settings = self.lab.settings
        self._chat = Chat(
            self.lab.inference, settings.load, settings.sampling, settings.system_prompt, self.lab.conversations
        )
        # Held, not queried: work that is cut off when the app ends may still speak to them.
        self._model_line = Static(id="model", markup=False)
        self._transcript = Transcript(id="transcript")
        self._panel = RunFiguresPanel(id="figures")
        self._prompt = PromptInput()
        self._feed = FiguresFeed(self._panel, self.lab, self._chat)
        self.session = RunSession(
            self,
            self._chat,
            self._transcript,
            self._feed,
            self._prompt,
            on_change=self.show_model,
            on_idle=self.show_idle,
        )
        self._dialogs = RunDialogs(self, self._chat)
        self._meter = RunMeter(self.lab.hardware)
        self._looking: Timer | None = None
        self._editing = 0
        """Number of the message that what is written now will stand in for; 0 for none."""
        self._in_dialog = False

    def compose_body(self) -> ComposeResult:
        """Model line, transcript and figures, prompt."""
        yield self._model_line
        with Row(id="middle"):
            yield self._transcript
            yield self._panel
        with Row(id="prompt"):
            yield Static(">", id="sign", markup=False)
            yield self._prompt

    def on_mount(self) -> None:
        """Say what to do first."""
        self.show_model()
        self._looking = self.set_interval(LOOK_EVERY_S, self._look)

    def on_screen_resume(self) -> None:
        """Whoever comes here from another screen comes to write; a dialog gives the focus back where it was."""
        if not self._in_dialog:
            self._prompt.focus()
        if self._looking is not None:
            self._looking.resume()

    def on_screen_suspend(self) -> None:
        """Nobody sees the machine's figures now."""
        if self._looking is not None:
            self._looking.pause()

    # --- keys ---------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only what makes sense now."""
        if action == "stop":
            return self.session.busy
        if action in ("unload", "bench"):
            return self._chat.entry is not None
        if action in ("regenerate", "edit", "alternatives", "repeat", "answer"):
            return bool(self._chat.conversation.turns)
        return True

    def action_back(self) -> None:
        """Out of an edit first, out of the prompt then, so that single keys work; then back."""
        prompt = self._prompt
        if self._editing:
            self._edit_no_more()
            prompt.text = ""
        elif prompt.has_focus and not self.clear_failure():
            self._transcript.focus()
        elif not prompt.has_focus:
            super().action_back()

    def action_write(self) -> None:
        """Back into the prompt."""
        self._prompt.focus()

    async def action_stop(self) -> None:
        """End the answer or the load under way."""
        await self.session.stop()

    def action_choose_model(self) -> None:
        """Open the picker."""
        self._open(self._dialogs.choose_model())

    def action_settings(self) -> None:
        """Open the settings."""
        self._open(self._dialogs.edit_settings())

    def action_new_conversation(self) -> None:
        """Begin anew; what was said is kept, and the model stays loaded."""
        if not self._say_busy():
            self.begin_anew(is_raw=self._chat.is_raw)
            # The empty conversation says to write below.
            self._prompt.focus()

    def action_completion(self) -> None:
        """Continue text as it is, or chat; either way in a new conversation."""
        if not self._say_busy():
            self.begin_anew(is_raw=not self._chat.is_raw)
            self._prompt.focus()

    def action_conversations(self) -> None:
        """Find what was said before."""
        if not self._say_busy():
            self._open(self._dialogs.choose_conversation())

    def action_regenerate(self) -> None:
        """Have the last answer made anew."""
        if not self._say_busy() and self._has_model():
            self.clear_failure()
            self.session.regenerate()

    def action_edit(self) -> None:
        """Say an earlier message otherwise, and go on from there."""
        if not self._say_busy():
            self._open(self._dialogs.choose_message())

    def action_alternatives(self) -> None:
        """Go back to an answer or message that another stands in for."""
        if not self._say_busy():
            self._open(self._dialogs.choose_alternative())

    def action_preset(self) -> None:
        """Take samplers that go together."""
        self._open(self._dialogs.choose_preset())

    def action_prompt_by_task(self) -> None:
        """Take a prompt to try the model on."""
        self._open(self._dialogs.choose_prompt())

    def action_figures(self) -> None:
        """Show every figure, and the reason for each that is missing."""
        self._open(self._dialogs.show_figures())

    def action_answer(self, steps: int) -> None:
        """Look at the figures of an older or newer answer."""
        self.session.cursor.move(steps)

    def action_unload(self) -> None:
        """Give the memory back."""
        self.session.unload()

    async def action_bench(self) -> None:
        """Measure this model properly."""
        if self._chat.entry is not None:
            await self.lab_app.open_model_in("bench", self._chat.entry)

    def action_copy_answer(self) -> None:
        """Put the last answer on the terminal's clipboard."""
        if answer := self._transcript.last_answer.strip():
            self.app.copy_to_clipboard(answer)

    async def action_side_by_side(self) -> None:
        """Let this model answer beside others."""
        from edgetui.screens.side_by_side import open_side_by_side

        chat = self._chat
        await open_side_by_side(self.lab_app, chat.entry, chat.load_settings, chat.sampling, chat.system_prompt)

    def action_repeat(self) -> None:
        """Show the commands that repeat the last answer elsewhere."""
        from edgetui.screens.repeat_dialog import show_last_answer

        self._open(show_last_answer(self, self._chat))

    def action_inspect(self) -> None:
        """Look at the last answer token by token."""
        from edgetui.screens.token_inspector import inspect_last_answer

        if self._say_busy():
            return
        if self._chat.conversation.path and not self.session.shows_engines_answer:
            self.show_failure(Failure("bad_request", _NO_TOKENS))
        else:
            self._open(inspect_last_answer(self))

    def action_raw_text(self) -> None:
        """Show answers as they were written, or as Markdown."""
        self._transcript.show_raw_text(not self._transcript.shows_raw_text)

    def action_unfold(self) -> None:
        """Show thinking and long prompts in full, or a row for each."""
        self._transcript.unfold(not self._transcript.is_unfolded)

    def action_scroll(self, pages: int) -> None:
        """Scroll the transcript while the prompt keeps the focus."""
        transcript = self._transcript
        transcript.scroll_to(y=transcript.scroll_y + pages * max(1, transcript.size.height - 2), animate=False)

    def on_prompt_input_submitted(self, message: PromptInput.Submitted) -> None:
        """Enter."""
        if self._say_busy() or not self._has_model():
            return
        self.clear_failure()
        self._prompt.remember(message.text)
        instead_of = self._editing
        self._edit_no_more()
        self.session.say(message.text, instead_of)

    # --- what the keys open -------------------------------------------------------------------------------

    async def open_model(self, entry: ModelEntry) -> None:
        """Load a model; the conversation goes on with it."""
        self.clear_failure()
        if entry == self._chat.entry and self.session.busy:
            # It is what answers, or is being loaded: choosing it again is no reason to stop that.
            self._prompt.focus()
            return
        if entry != self._chat.entry:
            # Before the note, behind which the rest of an answer would be written.
            await self.session.break_off()
            if not self._transcript.is_empty:
                self._transcript.add_block("note", f"{entry.name} answers from here on")
            await self._take_last_profile(entry)
            is_first = self._chat.entry is None
            self._chat.entry = entry
            # Figures of one model under the name of another would be taken for its own.
            self._transcript.mark_answer(None)
            self._feed.reset()
            self._feed.show()
            if is_first:
                self.session.cursor.show_last_kept()
        # Whoever comes from another screen with a model comes to write.
        self._prompt.focus()
        self.session.load()

    async def _take_last_profile(self, entry: ModelEntry) -> None:
        """The settings that the model was last run with under a name; what came from another model's name goes."""
        chat, defaults = self._chat, self.lab.settings
        settings = RunSettings(chat.load_settings, chat.sampling, chat.system_prompt)
        if chat.profile and chat.entry is not None:
            usual = RunSettings(defaults.load, defaults.sampling, defaults.system_prompt)
            settings = await self.lab.profiles.without(model_key(chat.entry), chat.profile, settings, usual)
        profile = None
        try:
            profile = await self.lab.profiles.last_used(model_key(entry))
        except EdgetuiError as error:
            self.show_failure(error)
        chat.profile = profile.name if profile is not None else ""
        chat.load_settings, chat.sampling, chat.system_prompt = profile.over(settings) if profile else settings

    # --- what is shown ------------------------------------------------------------------------------------

    def _open(self, dialog: Coroutine[object, object, None]) -> None:
        async def while_open() -> None:
            self._in_dialog = True
            try:
                await dialog
            finally:
                self._in_dialog = False

        self.run_worker(while_open(), group="dialog", exclusive=True)

    @property
    def figures(self) -> RunFigures:
        """What the panel shows."""
        return self._panel.figures

    def write(self, text: str, instead_of: int = 0) -> None:
        """Have a text stand in the prompt, to be changed and sent; instead of an earlier message when one is named."""
        self._editing = instead_of
        self.query_one("#sign", Static).update("e" if instead_of else ">", layout=False)
        self._prompt.text = ""
        self._prompt.restore(text)
        self._prompt.focus()

    def begin_anew(self, *, is_raw: bool) -> None:
        """Show an empty conversation."""
        self._edit_no_more()
        self._chat.clear(is_raw=is_raw)
        self._transcript.clear_blocks()
        self._feed.reset()
        self._feed.show()
        self.show_model()
        self.refresh_bindings()

    def show_other_conversation(self) -> None:
        """Show the one that was taken up."""
        self._edit_no_more()
        self.session.show_conversation()
        self._feed.reset()
        self._feed.show()
        self.session.cursor.show_last_kept()
        self.show_model()
        self.refresh_bindings()
        self._prompt.focus()

    def show_model(self) -> None:
        """Say what is loaded and how, and what to do in an empty conversation."""
        self._model_line.update(Content(model_line(self._chat, self._feed.state)), layout=False)
        self._transcript.set_hint(hint_of(self._chat))

    def show_idle(self) -> None:
        """What was under way has ended, and nothing says any more that it goes on."""
        self.clear_failure(_BUSY)
        self.show_model()

    def _edit_no_more(self) -> None:
        self._editing = 0
        self.query_one("#sign", Static).update(">", layout=False)

    def _say_busy(self) -> bool:
        """Say that the model is at work, if it is."""
        if self.session.busy:
            self.show_failure(_BUSY)
        return self.session.busy

    def _has_model(self) -> bool:
        """Whether one is chosen; says so where none is."""
        if self._chat.entry is None:
            self.show_failure(Failure("bad_request", "No model is chosen: press ctrl+o and choose one."))
        return self._chat.entry is not None

    async def _look(self) -> None:
        if self._chat.loaded is not None:
            self._feed.look(await self._meter.look())
