"""A conversation with one model: what was said, what loads it, and what becomes of a turn that fails."""

from __future__ import annotations

import time
from contextlib import aclosing
from typing import TYPE_CHECKING

import msgspec

from edgetui.core.conversations import FAILED, Answer, Conversation, Turn
from edgetui.core.engines import ENGINE_OF
from edgetui.core.failures import EdgetuiError
from edgetui.core.frame_rate import frames_per_second, usable_processors
from edgetui.core.run_settings import ChatMessage, LoadSettings, SamplingSettings
from edgetui.services.answer_figures import AnswerFigures
from edgetui.services.conversations import new_conversation, new_number
from edgetui.services.profiles import model_key
from edgetui.worker.protocol import Finished, Loaded, Tokens

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from edgetui.core.models import ModelEntry
    from edgetui.services.conversations import Conversations
    from edgetui.services.inference import Inference
    from edgetui.worker.protocol import SessionEvent

_KEEP_EVERY_S = 0.25
"""A process that is killed loses at most so much of an answer."""


class Chat:
    """Keeps the turns of a conversation; the model may be loaded, lost and loaded again under it."""

    def __init__(
        self,
        inference: Inference,
        load: LoadSettings | None = None,
        sampling: SamplingSettings | None = None,
        system_prompt: str = "",
        conversations: Conversations | None = None,
    ) -> None:
        """`conversations` keeps what is said; without it, it is gone with this object."""
        self._inference = inference
        self._kept = conversations
        self.entry: ModelEntry | None = None
        """The model that answers; it need not be in memory."""
        self.load_settings = load or LoadSettings()
        self.sampling = sampling or SamplingSettings()
        self.system_prompt = system_prompt
        """Stands before the first message when it is not empty."""
        self.profile = ""
        """Name of the profile that the settings came from, as long as they are its."""
        self.joules_per_token: Callable[[], float | None] = lambda: None
        """Of the answer under way, for whoever reads a meter meanwhile to say."""
        self.conversation = new_conversation(system_prompt)
        self._loaded_with: LoadSettings | None = None

    # --- the model ----------------------------------------------------------------------------------------

    @property
    def loaded(self) -> Loaded | None:
        """What the engine said of the model, None unless it is in memory as the settings want it."""
        if self._inference.entry != self.entry or self._loaded_with != self.load_settings:
            return None
        # A worker that died between two turns holds no memory, and nobody has told us yet.
        return self._inference.loaded if self._inference.resident_bytes() else None

    def frame_interval_s(self, wanted: int) -> float:
        """Time between two repaints for `Settings.frames_per_second`, as the loaded model's threads allow."""
        return 1 / frames_per_second(wanted, self._threads, usable_processors())

    @property
    def takes_every_processor(self) -> bool:
        """Whether the loaded model computes on all that this process may use."""
        return self._threads >= usable_processors()

    @property
    def _threads(self) -> int:
        return self.loaded.threads if self.loaded else 0

    async def load(self, on_progress: Callable[[float], None] = lambda fraction: None) -> Loaded:
        """Have the model in memory; raises `EdgetuiError`, and cancelling the task stops the load."""
        if self.entry is None:
            raise EdgetuiError("bad_request", "No model is chosen: press ctrl+o and choose one.")
        loaded = self.loaded
        if loaded is None:
            settings = self.load_settings
            loaded = await self._inference.load(self.entry, settings, on_progress)
            self._loaded_with = settings
        return loaded

    async def unload(self) -> None:
        """Give the model's memory back; the conversation stays."""
        await self._inference.unload()

    # --- the conversation ---------------------------------------------------------------------------------

    @property
    def messages(self) -> list[ChatMessage]:
        """What was said on the present path, without the system prompt."""
        return [ChatMessage(turn.role, turn.content) for turn in self.conversation.path]

    @property
    def is_raw(self) -> bool:
        """Whether the text is continued as it is, without chat template."""
        return self.conversation.is_raw

    def clear(self, *, is_raw: bool | None = None) -> None:
        """Begin a new conversation; the one before stays among those that are kept."""
        raw = self.is_raw if is_raw is None else is_raw
        self.conversation = new_conversation(self.system_prompt, is_raw=raw)

    def resume(self, conversation: Conversation) -> None:
        """Go on with one that was kept, under its own system prompt."""
        self.conversation = conversation
        self.system_prompt = conversation.system_prompt

    def choose(self, number: int) -> None:
        """Have an alternative, and what followed it last, be what was said."""
        self.conversation = msgspec.structs.replace(self.conversation, leaf=self.conversation.last_below(number))
        if self._kept is not None:
            self._kept.keep(self.conversation)

    async def ask(
        self, text: str, flush_interval_s: float = 0.066, instead_of: int = 0
    ) -> AsyncGenerator[SessionEvent, None]:
        """Say something and yield the answer's events, as `Inference.generate` does.

        What was answered before a stop, a crash or another failure stays in the conversation; a turn without an answer
        leaves none. `instead_of` is the number of an earlier message of the person's: the conversation goes on from
        before it, and the earlier one stays as an alternative.
        """
        conversation = self.conversation
        before = conversation.leaf
        parent = conversation.turn(instead_of).parent if instead_of else before
        question = Turn(number=new_number(conversation), parent=parent, role="user", content=text, said_at=time.time())
        self.conversation = conversation.with_turns(question)
        async with aclosing(self._answer(question, self.sampling, flush_interval_s, before)) as events:
            async for event in events:
                yield event

    async def regenerate(self, flush_interval_s: float = 0.066) -> AsyncGenerator[SessionEvent, None]:
        """Answer the last message again, under a new seed; the answers before stay as alternatives.

        Raises `bad_request` when nothing was said.
        """
        path = self.conversation.path
        question = next((turn for turn in reversed(path) if turn.role == "user"), None)
        if question is None:
            raise EdgetuiError("bad_request", "There is no answer to make anew: say something first.")
        before = self.conversation.leaf
        self.conversation = msgspec.structs.replace(self.conversation, leaf=question.number)
        sampling = msgspec.structs.replace(self.sampling, seed=None)
        async with aclosing(self._answer(question, sampling, flush_interval_s, before)) as events:
            async for event in events:
                yield event

    async def _answer(
        self, question: Turn, sampling: SamplingSettings, flush_interval_s: float, leaf_before: int
    ) -> AsyncGenerator[SessionEvent, None]:
        """Generate after `question`, which is the leaf, and keep it as it goes."""
        assert self.entry is not None
        loaded = self._inference.loaded
        base = Answer(
            model_name=self.entry.name,
            engine=loaded.engine if loaded is not None else ENGINE_OF[self.entry.format],
            engine_version=loaded.engine_version if loaded is not None else "",
            load=self.load_settings,
            sampling=sampling,
            profile=self.profile,
            threads=loaded.threads if loaded is not None else None,
            backend=loaded.backend if loaded is not None else "",
            kv_cache_bytes=(loaded.kv_cache_bytes or None) if loaded is not None else None,
            use_mmap=loaded.use_mmap if loaded is not None else None,
            huge_page_bytes=loaded.huge_page_bytes if loaded is not None else 0,
        )
        answer = Turn(
            number=new_number(self.conversation),
            parent=question.number,
            role="assistant",
            content="",
            said_at=time.time(),
            answer=base,
        )
        asked = self.conversation
        self.conversation = msgspec.structs.replace(
            self.conversation,
            model=model_key(self.entry),
            model_name=self.entry.name,
            engine=base.engine,
            system_prompt=self.system_prompt,
        ).with_turns(answer)
        writing = _Writing(self._kept, self.conversation, answer.number)
        writing.begin(question, answer)
        text = ""
        figures = AnswerFigures(base)
        # An answer without end and without failure is one that nobody listened to any more, which is a stop.
        reason, failure = "stopped", ""
        finished = False
        try:
            async with aclosing(self._generate(question, sampling, flush_interval_s)) as events:
                async for event in events:
                    if isinstance(event, Tokens):
                        text += event.text
                        writing.add(event.text)
                    elif isinstance(event, Finished):
                        finished = event.reason != "stopped"
                        figures.note_memory(self._inference.resident_bytes())
                    figures.take(event)
                    yield event
        except EdgetuiError as error:
            reason, failure = FAILED, str(error)
            raise
        finally:
            known = figures.ended(joules_per_token=self.joules_per_token(), reason=reason, failure=failure)
            whole = msgspec.structs.replace(answer, content=text, answer=known)
            self._end(writing, question, whole, asked, leaf_before, finished)

    def _end(
        self, writing: _Writing, question: Turn, answer: Turn, asked: Conversation, leaf_before: int, finished: bool
    ) -> None:
        """Keep what came of a turn, or nothing of it."""
        if answer.content or finished:
            self.conversation = self.conversation.with_turns(answer)
            writing.end(self.conversation, question, answer)
            return
        gone = [answer.number]
        if len(self.conversation.alternatives(answer.number)) == 1:
            gone.append(question.number)
        # The model that answered last is still the one before.
        self.conversation = msgspec.structs.replace(
            self.conversation.without(*gone),
            leaf=leaf_before,
            model=asked.model,
            model_name=asked.model_name,
            engine=asked.engine,
        )
        writing.take_back(self.conversation, gone)

    def _generate(
        self, question: Turn, sampling: SamplingSettings, flush_interval_s: float
    ) -> AsyncGenerator[SessionEvent, None]:
        path = self.conversation.path_to(question.number)
        if self.is_raw:
            text = "".join(turn.content for turn in path)
            return self._inference.generate(prompt=text, sampling=sampling, flush_interval_s=flush_interval_s)
        system = [ChatMessage("system", self.system_prompt)] if self.system_prompt else []
        messages = (*system, *(ChatMessage(turn.role, turn.content) for turn in path))
        return self._inference.generate(messages, sampling=sampling, flush_interval_s=flush_interval_s)


class _Writing:
    """Keeps one answer while it comes: at most a few writes a second, whatever the rate."""

    def __init__(self, kept: Conversations | None, conversation: Conversation, number: int) -> None:
        self._kept = kept
        self._conversation = conversation
        self._number = number
        self._unwritten = ""
        self._written_at = 0.0

    def begin(self, question: Turn, answer: Turn) -> None:
        if self._kept is not None:
            self._kept.keep(self._conversation, question, answer)

    def add(self, text: str) -> None:
        self._unwritten += text
        now = time.monotonic()
        if self._kept is not None and self._unwritten and now - self._written_at >= _KEEP_EVERY_S:
            self._kept.append(self._conversation, self._number, self._unwritten)
            self._unwritten, self._written_at = "", now

    def end(self, conversation: Conversation, question: Turn, answer: Turn) -> None:
        if self._kept is not None:
            self._kept.keep(conversation, question, answer)

    def take_back(self, conversation: Conversation, numbers: list[int]) -> None:
        if self._kept is not None:
            self._kept.remove_turns(conversation, *numbers)
