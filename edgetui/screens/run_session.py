"""What Run does with its model: one load, answer or unload at a time, shown as it goes."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from functools import partial
from typing import TYPE_CHECKING

from edgetui.core.conversations import CUT_OFF, UNREADABLE
from edgetui.core.failures import EdgetuiError
from edgetui.core.heap import settle_objects
from edgetui.screens.answer_cursor import AnswerCursor
from edgetui.worker.protocol import Finished, PrefillProgress, PromptReady, Tokens

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from textual.worker import Worker

    from edgetui.core.conversations import Turn
    from edgetui.screens.base import LabScreen
    from edgetui.screens.run_figures_feed import FiguresFeed
    from edgetui.services.chat import Chat
    from edgetui.widgets.prompt_input import PromptInput
    from edgetui.widgets.transcript import Transcript
    from edgetui.worker.protocol import SessionEvent

_MOST_DRAWING_S = 0.25
"""A screen that is covered, or a terminal that is behind, does not keep a question from being asked."""
_MOST_BACKLOG = 2
"""Writes still on their way to the terminal at which a frame is left out."""
_ENDINGS = {
    "stopped": "stopped",
    "max_tokens": "ended at the limit of tokens",
    "context_full": "ended: the context is full; begin a new conversation with ctrl+n or take a larger context",
    CUT_OFF: "cut off: edgetui ended before the answer did",
    UNREADABLE: "the figures and settings of this answer are damaged or of another edgetui and cannot be shown",
}


class RunSession:
    """Owns the work under way; the screen hands it keys and is told when something changed."""

    def __init__(
        self,
        screen: LabScreen,
        chat: Chat,
        transcript: Transcript,
        feed: FiguresFeed,
        prompt: PromptInput,
        on_change: Callable[[], None],
        on_idle: Callable[[], None],
    ) -> None:
        """`on_change` is called when the model or the conversation is another than before, `on_idle` after all work."""
        self._screen = screen
        self._chat = chat
        self._transcript = transcript
        self._feed = feed
        self._prompt = prompt
        self._on_change = on_change
        self._on_idle = on_idle
        self.cursor = AnswerCursor(chat, transcript, feed)
        self._work: Worker[None] | None = None
        self._turn_over = asyncio.Lock()
        """Held by the load or answer under way: the next one waits until it has cleaned up."""
        self._answered = ""
        """The last answer that the engine made, by which its tokens are known to be those on the screen."""
        self._unshown = ""
        """Text that came while the terminal was behind."""
        self._unshown_tokens = 0

    # --- what can be asked --------------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether something is under way."""
        return self._work is not None and not self._work.is_finished

    @property
    def shows_engines_answer(self) -> bool:
        """Whether the last answer on the screen is the engine's last one, and not one of another branch or day."""
        path = self._chat.conversation.path
        return bool(path) and bool(self._answered) and path[-1].content == self._answered

    def load(self) -> None:
        """Have the model in memory."""
        self._start(self._load)

    def unload(self) -> None:
        """Give its memory back."""
        self._start(self._chat.unload)

    def say(self, text: str, instead_of: int = 0) -> None:
        """Ask something, or ask it instead of an earlier message."""
        self._start(partial(self._say, text, instead_of))

    def regenerate(self) -> None:
        """Answer the last message again."""
        self._start(self._regenerate)

    async def stop(self) -> None:
        """End the answer or the load under way."""
        if self._feed.state.startswith("loading"):
            assert self._work is not None
            self._work.cancel()
        else:
            self._feed.set_state("stopping")
            await self._screen.lab.inference.stop()

    async def break_off(self) -> None:
        """End whatever is under way, and wait until it has said so."""
        if self._work is not None and self.busy:
            self._work.cancel()
            async with self._turn_over:
                pass

    def show_conversation(self) -> None:
        """Put the present path of the conversation on the screen."""
        self._transcript.clear_blocks()
        self._show_turns(self._chat.conversation.path)

    # --- work ---------------------------------------------------------------------------------------------

    def _start(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run a load, an answer or an unload; whatever was under way ends first."""

        async def in_turn() -> None:
            async with self._turn_over:
                try:
                    await work()
                except EdgetuiError as error:
                    if error.failure.kind != "cancelled":
                        self._screen.show_failure(error)
                finally:
                    self._feed.set_state("ready" if self._chat.loaded is not None else "not loaded")
                    self._on_idle()
                    self._screen.call_later(self._screen.refresh_bindings)

        self._work = self._screen.run_worker(in_turn(), group="model", exclusive=True)
        self._screen.refresh_bindings()

    async def _load(self) -> None:
        percent = -1

        def show_progress(fraction: float) -> None:
            nonlocal percent
            if int(fraction * 100) != percent:
                percent = int(fraction * 100)
                self._feed.set_state(f"loading {percent} %")

        if self._chat.loaded is not None:
            return
        self._feed.set_state("loading")
        self._on_change()
        loaded = await self._chat.load(show_progress)
        # Now, and not while a prompt is computed, which takes every core.
        await self._transcript.prepare()
        settle_objects()
        for remark in loaded.remarks:
            self._transcript.add_block("note", remark)
        if self._chat.entry is not None:
            await self._feed.find_limit(self._chat.entry)

    async def _say(self, text: str, instead_of: int) -> None:
        said_before = {turn.number for turn in self._chat.conversation.turns}
        try:
            await self._load()
            if instead_of:
                self._show_path_before(instead_of)
            self._transcript.add_block("user", text)
            await self._stream(self._chat.ask(text, self._interval_s, instead_of))
        finally:
            turns = self._chat.conversation.turns
            if not any(turn.content == text and turn.number not in said_before for turn in turns):
                # Nothing came of it: the words go back to where they were written.
                self._prompt.restore(text)

    async def _regenerate(self) -> None:
        await self._load()
        path = self._chat.conversation.path
        if path:
            self._show_path_before(path[-1].number)
        await self._stream(self._chat.regenerate(self._interval_s))

    async def _stream(self, events: AsyncGenerator[SessionEvent, None]) -> None:
        """Show an answer as it comes; raises `EdgetuiError`, and what was answered before stays."""
        feed = self._feed
        self._answered = ""
        turns_before = self._chat.conversation.turns
        self._on_change()
        feed.reset()
        self._transcript.add_block("answer")
        feed.set_state("prefill")
        if self._chat.takes_every_processor:
            await self._drawn()
        try:
            async with aclosing(events):
                async for event in events:
                    if isinstance(event, Tokens):
                        self._take_tokens(event)
                    elif isinstance(event, PromptReady):
                        feed.prompt_ready(event)
                    elif isinstance(event, PrefillProgress):
                        feed.prefilled(event)
                    elif isinstance(event, Finished):
                        self._show_text()
                        feed.finish(event)
        finally:
            self._show_text()
            self._transcript.finish_block()
            if self._chat.conversation.turns == turns_before:
                self.show_conversation()
                # Nothing came of it, so the last answer is the one before.
                feed.reset()
                self.cursor.show_last_kept()
            else:
                last = self._chat.conversation.path[-1]
                self._answered = last.content
                self._note_end(last)
            if problem := self._screen.lab.conversations.problem:
                self._screen.show_failure(problem)
                self._screen.lab.conversations.problem = None

    async def _drawn(self) -> None:
        """Until all this is on its way to the terminal: drawn meanwhile, it would hold up the prompt's computation."""
        drawn = asyncio.Event()
        if self._screen.call_after_refresh(drawn.set):
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(drawn.wait(), _MOST_DRAWING_S)

    @property
    def _interval_s(self) -> float:
        return self._chat.frame_interval_s(self._screen.lab.settings.frames_per_second)

    # --- what is shown ------------------------------------------------------------------------------------

    def _take_tokens(self, event: Tokens) -> None:
        self._feed.add(event)
        self._unshown += event.text
        self._unshown_tokens += len(event.times_ns)
        if self._screen.lab_app.terminal_backlog > _MOST_BACKLOG:
            # The terminal is behind: more now would only make it later.
            return
        self._show_text()
        self._feed.show_tokens(event)

    def _show_text(self) -> None:
        if self._unshown:
            self._transcript.append(self._unshown, self._unshown_tokens)
            self._unshown, self._unshown_tokens = "", 0

    def _show_path_before(self, number: int) -> None:
        """The conversation as it was before a turn that is said or answered anew."""
        self._transcript.clear_blocks()
        parent = self._chat.conversation.turn(number).parent
        self._show_turns(self._chat.conversation.path_to(parent))

    def _show_turns(self, turns: list[Turn]) -> None:
        for turn in turns:
            self._transcript.add_block("user" if turn.role == "user" else "answer", turn.content)
            self._transcript.finish_block()
            self._note_end(turn)

    def _note_end(self, turn: Turn) -> None:
        """Say under an answer how it ended, when not by itself, and whether there are others."""
        if turn.answer is None:
            return
        notes = []
        if turn.answer.reason in _ENDINGS:
            notes.append(_ENDINGS[turn.answer.reason])
        elif turn.answer.failure:
            notes.append(f"cut off: {turn.answer.failure}")
        numbers = self._chat.conversation.alternatives(turn.number)
        if len(numbers) > 1:
            notes.append(f"answer {numbers.index(turn.number) + 1} of {len(numbers)} (esc, then a, chooses)")
        for note in notes:
            self._transcript.add_block("note", note)
