"""The Run screen: talk to a model and see how fast it answers."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Static

from edgetui.core.failures import EdgetuiError, Failure
from edgetui.core.plain_text import plain_line
from edgetui.core.token_rate import RateHistory, TokenRate, decode_tps, prefill_tps
from edgetui.screens.base import LabScreen
from edgetui.services.chat import Chat
from edgetui.widgets.prompt_input import PromptInput
from edgetui.widgets.run_figures import CHART_SPANS, RunFigures, RunFiguresPanel
from edgetui.widgets.transcript import Transcript
from edgetui.worker.protocol import Finished, PrefillProgress, PromptReady, Tokens

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from textual.app import ComposeResult
    from textual.binding import BindingType
    from textual.worker import Worker

    from edgetui.core.models import ModelEntry

_RATE_EVERY_NS = 450_000_000
"""Between two updates of the decode rate while tokens stream, on the worker's clock."""
_COMPANY_EVERY = 3
"""Every which of those also brings the other figures: they change slowly, and each row costs bytes."""
_MOST_BACKLOG = 2
"""Writes still on their way to the terminal at which a frame is left out."""
_ENDINGS = {
    "stopped": "stopped",
    "max_tokens": "ended at the limit of tokens",
    "context_full": "ended: the context is full; begin a new conversation with ctrl+n or take a larger context",
}


class RunScreen(LabScreen):
    """Transcript on the left, figures on the right, prompt below."""

    MODE = "run"
    HELP = (
        "Write a prompt and press enter; the answer streams in. DECODE is the rate of the last second, mean that of"
        " the whole answer without its first token. PREFILL counts only prompt tokens that had to be computed; KV"
        " REUSED says how many stood in the cache already. A figure shown as - was not measured."
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
        Binding("enter", "write", "Write", show=False),
        Binding("ctrl+o", "choose_model", "Model", priority=True, id="run.model"),
        Binding("ctrl+s", "settings", "Settings", priority=True, id="run.settings"),
        Binding("ctrl+n", "new_conversation", "New", priority=True, id="run.new"),
        Binding("ctrl+l", "unload", "Unload", priority=True, id="run.unload"),
        Binding("ctrl+b", "bench", "Bench this", priority=True, id="run.bench"),
        Binding("ctrl+t", "inspect", "Tokens", show=False, priority=True, id="run.inspect"),
        Binding("ctrl+r", "raw_text", "Raw text or Markdown", show=False, priority=True, id="run.raw"),
        Binding("ctrl+g", "unfold", "Unfold thinking", show=False, priority=True, id="run.unfold"),
        Binding("ctrl+y", "copy_answer", "Copy last answer", show=False, priority=True, id="run.copy"),
        Binding("pageup", "scroll(-1)", "Scroll back", show=False, priority=True),
        Binding("pagedown", "scroll(1)", "Scroll on", show=False, priority=True),
    ]

    def __init__(self) -> None:
        super().__init__()
        settings = self.lab.settings
        self._chat = Chat(self.lab.inference, settings.load, settings.sampling, settings.system_prompt)
        # Held, not queried: work that is cut off when the app ends may still speak to them.
        self._model_line = Static(id="model", markup=False)
        self._transcript = Transcript(id="transcript")
        self._panel = RunFiguresPanel(id="figures")
        self._prompt = PromptInput()
        self._work: Worker[None] | None = None
        self._turn_over = asyncio.Lock()
        """Held by the load or answer under way: the next one waits until it has cleaned up."""
        self._state = "no model"
        self._rate = TokenRate()
        self._history = RateHistory(CHART_SPANS)
        self._figures = RunFigures()
        self._rate_shown_ns = 0
        self._rates_shown = 0
        self._unshown = ""
        """Text that came while the terminal was behind."""
        self._unshown_tokens = 0

    def compose_body(self) -> ComposeResult:
        """Model line, transcript and figures, prompt."""
        yield self._model_line
        with Horizontal(id="middle"):
            yield self._transcript
            yield self._panel
        with Horizontal(id="prompt"):
            yield Static(">", markup=False)
            yield self._prompt

    def on_mount(self) -> None:
        """Say what to do first."""
        self._show_model()

    def on_screen_resume(self) -> None:
        """Whoever comes here comes to write."""
        self._prompt.focus()

    # --- keys ---------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only what makes sense now."""
        if action == "stop":
            return self._busy
        if action in ("unload", "bench"):
            return self._chat.entry is not None
        return True

    def action_back(self) -> None:
        """Out of the prompt first, so that single keys work; then back."""
        prompt = self._prompt
        if prompt.has_focus and not self.clear_failure():
            self._transcript.focus()
        elif not prompt.has_focus:
            super().action_back()

    def action_write(self) -> None:
        """Back into the prompt."""
        self._prompt.focus()

    async def action_stop(self) -> None:
        """End the answer or the load under way."""
        if self._state.startswith("loading"):
            assert self._work is not None
            self._work.cancel()
        else:
            self._set_state("stopping")
            await self.lab.inference.stop()

    def action_choose_model(self) -> None:
        """Open the picker."""
        self.run_worker(self._choose_model(), group="dialog", exclusive=True)

    def action_settings(self) -> None:
        """Open the settings."""
        self.run_worker(self._edit_settings(), group="dialog", exclusive=True)

    def action_new_conversation(self) -> None:
        """Forget what was said; the model stays loaded."""
        if self._busy:
            self._say_busy()
            return
        self._chat.clear()
        self._transcript.clear_blocks()
        self._reset_figures()
        self._show_figures()

    def action_unload(self) -> None:
        """Give the memory back."""
        self._start(self._chat.unload)

    async def action_bench(self) -> None:
        """Measure this model properly."""
        if self._chat.entry is not None:
            await self.lab_app.open_model_in("bench", self._chat.entry)

    def action_copy_answer(self) -> None:
        """Put the last answer on the terminal's clipboard."""
        if answer := self._transcript.last_answer.strip():
            self.app.copy_to_clipboard(answer)

    def action_inspect(self) -> None:
        """Look at the last answer token by token."""
        from edgetui.screens.token_inspector import inspect_last_answer

        if self._busy:
            self._say_busy()
        else:
            self.run_worker(inspect_last_answer(self), group="dialog", exclusive=True)

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
        if self._busy:
            self._say_busy()
        elif self._chat.entry is None:
            self.show_failure(Failure("bad_request", "No model is chosen: press ctrl+o and choose one."))
        else:
            self.clear_failure()
            self._prompt.remember(message.text)
            self._start(partial(self._answer, message.text))

    # --- work ---------------------------------------------------------------------------------------------

    async def open_model(self, entry: ModelEntry) -> None:
        """Load a model; the conversation goes on with it."""
        if entry != self._chat.entry and not self._transcript.is_empty:
            self._transcript.add_block("note", f"{entry.name} answers from here on")
        if entry != self._chat.entry:
            # Figures of one model under the name of another would be taken for its own.
            self._reset_figures()
            self._show_figures()
        self._chat.entry = entry
        self.clear_failure()
        # Whoever comes from another screen with a model comes to write.
        self.query_one(PromptInput).focus()
        self._start(self._load)

    @property
    def _busy(self) -> bool:
        return self._work is not None and not self._work.is_finished

    def _start(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run a load, an answer or an unload; whatever was under way ends first."""

        async def in_turn() -> None:
            async with self._turn_over:
                try:
                    await work()
                except EdgetuiError as error:
                    if error.failure.kind != "cancelled":
                        self.show_failure(error)
                finally:
                    self._set_state("ready" if self._chat.loaded is not None else "not loaded")
                    self._show_model()
                    self.call_later(self.refresh_bindings)

        self._work = self.run_worker(in_turn(), group="model", exclusive=True)
        self.refresh_bindings()

    async def _load(self) -> None:
        percent = -1

        def show_progress(fraction: float) -> None:
            nonlocal percent
            if int(fraction * 100) != percent:
                percent = int(fraction * 100)
                self._set_state(f"loading {percent} %")

        if self._chat.loaded is None:
            self._set_state("loading")
            self._show_model()
            await self._chat.load(show_progress)

    async def _answer(self, text: str) -> None:
        transcript = self._transcript
        await self._load()
        self._show_model()
        self._reset_figures()
        transcript.add_block("user", text)
        transcript.add_block("answer")
        self._set_state("prefill")
        answered = False
        try:
            interval_s = self._chat.frame_interval_s(self.lab.settings.frames_per_second)
            async for event in self._chat.ask(text, interval_s):
                if isinstance(event, Tokens):
                    answered = True
                    self._take_tokens(transcript, event)
                elif isinstance(event, PromptReady):
                    self._figures = self._figures._replace(
                        reused_tokens=event.reused_tokens, prompt_tokens=event.prompt_tokens
                    )
                    self._show_figures()
                elif isinstance(event, PrefillProgress):
                    self._figures = self._figures._replace(prefill_tps=prefill_tps(event.done_tokens, event.elapsed_s))
                    if event.done_tokens < event.total_tokens and self._state != "stopping":
                        self._set_state(f"prefill {event.done_tokens}/{event.total_tokens}")
                elif isinstance(event, Finished):
                    self._show_text(transcript)
                    self._take_end(transcript, event)
        except EdgetuiError:
            if not answered:
                self._prompt.restore(text)
            raise
        finally:
            self._show_text(transcript)
            transcript.finish_block()

    async def _choose_model(self) -> None:
        from edgetui.screens.model_picker import ModelPicker

        try:
            entries = [*await self.lab.servers.entries(), *await self.lab.catalog.scan()]
        except EdgetuiError as error:
            self.show_failure(error)
            return
        entry = await self.app.push_screen_wait(ModelPicker(entries, "Run a model"))
        if entry is not None:
            await self.open_model(entry)

    async def _edit_settings(self) -> None:
        from edgetui.screens.run_settings_dialog import RunSettings, run_settings_dialog, run_settings_of

        chat = self._chat
        settings = RunSettings(chat.load_settings, chat.sampling, chat.system_prompt)
        values = await self.app.push_screen_wait(run_settings_dialog(settings))
        if values is not None:
            chosen = run_settings_of(values, settings)
            reload = chosen.load != chat.load_settings and chat.loaded is not None
            chat.load_settings, chat.sampling, chat.system_prompt = chosen
            if reload:
                self._start(self._load)
            self._show_model()

    # --- what is shown ------------------------------------------------------------------------------------

    def _take_tokens(self, transcript: Transcript, event: Tokens) -> None:
        self._rate.add(event.times_ns)
        self._history.add(event.times_ns)
        self._unshown += event.text
        self._unshown_tokens += len(event.times_ns)
        if self.lab_app.terminal_backlog > _MOST_BACKLOG:
            # The terminal is behind: more now would only make it later.
            return
        self._show_text(transcript)
        first = self._figures.ttft_s is None
        if first or self._rate.last_ns - self._rate_shown_ns >= _RATE_EVERY_NS:
            self._rate_shown_ns = self._rate.last_ns
            self._rates_shown += 1
            if self._state.startswith("prefill"):
                self._state = "decoding"
            if first or self._rates_shown % _COMPANY_EVERY == 0:
                self._measure(event.context_used)
            else:
                self._figures = self._figures._replace(
                    decode_tps=self._rate.recent_tps(), rates_tps=self._history.rates_tps
                )
                self._show_figures()

    def _show_text(self, transcript: Transcript) -> None:
        if self._unshown:
            transcript.append(self._unshown, self._unshown_tokens)
            self._unshown, self._unshown_tokens = "", 0

    def _take_end(self, transcript: Transcript, event: Finished) -> None:
        self._measure(event.context_used)
        self._figures = self._figures._replace(
            mean_tps=decode_tps(event.generated_tokens, event.decode_s),
            prefill_tps=prefill_tps(event.prefill_tokens, event.prefill_s),
            ttft_s=event.ttft_s,
            tokens=event.generated_tokens,
        )
        self._show_figures()
        if event.reason in _ENDINGS:
            transcript.add_block("note", _ENDINGS[event.reason])

    def _measure(self, context_used: int) -> None:
        """Figures from the tokens so far."""
        rate = self._rate
        loaded = self._chat.loaded
        self._figures = self._figures._replace(
            decode_tps=rate.recent_tps(),
            rates_tps=self._history.rates_tps,
            mean_tps=rate.mean_tps,
            itl_p50_s=rate.interval_s(50),
            itl_p95_s=rate.interval_s(95),
            itl_p99_s=rate.interval_s(99),
            ttft_s=rate.ttft_s,
            tokens=rate.token_count,
            context_used=context_used,
            context_tokens=loaded.context_tokens if loaded is not None else None,
        )
        self._show_figures()

    def _reset_figures(self) -> None:
        self._rate = TokenRate()
        self._history = RateHistory(CHART_SPANS)
        self._rate_shown_ns = self._rates_shown = 0
        loaded = self._chat.loaded
        self._figures = RunFigures(context_tokens=loaded.context_tokens if loaded is not None else None)

    def _set_state(self, state: str) -> None:
        self._state = state
        self._show_figures()

    def _show_figures(self) -> None:
        resident = self.lab.inference.resident_bytes()
        self._panel.update(self._figures._replace(state=self._state, resident_bytes=resident))

    def _say_busy(self) -> None:
        self.show_failure(Failure("busy", "The model is still at work: esc stops it."))

    def _show_model(self) -> None:
        entry, loaded = self._chat.entry, self._chat.loaded
        if entry is None:
            line = "No model: ctrl+o chooses one"
            hint = (
                "Press ctrl+o to choose a model, or enter on one in Models (f2).\n\nThen write below and press enter."
            )
        elif loaded is None:
            state = "loading, esc cancels" if self._state.startswith("loading") else "not loaded: a prompt loads it"
            line = f"{plain_line(entry.name)}   {state}"
            hint = "Write below and press enter: the model is loaded first."
        else:
            line = (
                f"{plain_line(entry.name)}   llama.cpp  {loaded.threads} threads  ctx {loaded.context_tokens}"
                f"  batch {loaded.batch_tokens}  KV {loaded.kv_cache_type.upper()}"
            )
            hint = "Write below and press enter.  ctrl+s has the settings, pgup and pgdn scroll."
        self._model_line.update(Content(line))
        self._transcript.set_hint(hint)
