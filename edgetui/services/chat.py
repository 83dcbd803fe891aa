"""A conversation with one model: what was said, what loads it, and what becomes of a turn that fails."""

from __future__ import annotations

import os
from contextlib import aclosing
from typing import TYPE_CHECKING

from edgetui.core.failures import EdgetuiError
from edgetui.core.frame_rate import frames_per_second
from edgetui.core.run_settings import ChatMessage, LoadSettings, SamplingSettings
from edgetui.worker.protocol import Finished, Loaded, Tokens

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from edgetui.core.models import ModelEntry
    from edgetui.services.inference import Inference
    from edgetui.worker.protocol import SessionEvent


class Chat:
    """Keeps the messages of a conversation; the model may be loaded, lost and loaded again under it."""

    def __init__(
        self,
        inference: Inference,
        load: LoadSettings | None = None,
        sampling: SamplingSettings | None = None,
        system_prompt: str = "",
    ) -> None:
        self._inference = inference
        self.entry: ModelEntry | None = None
        """The model that answers; it need not be in memory."""
        self.load_settings = load or LoadSettings()
        self.sampling = sampling or SamplingSettings()
        self.system_prompt = system_prompt
        """Stands before the first message when it is not empty."""
        self.messages: list[ChatMessage] = []
        """What was said, without the system prompt."""
        self._loaded_with: LoadSettings | None = None

    @property
    def loaded(self) -> Loaded | None:
        """What the engine said of the model, None unless it is in memory as the settings want it."""
        if self._inference.entry != self.entry or self._loaded_with != self.load_settings:
            return None
        # A worker that died between two turns holds no memory, and nobody has told us yet.
        return self._inference.loaded if self._inference.resident_bytes() else None

    def frame_interval_s(self, wanted: int) -> float:
        """Time between two repaints for `Settings.frames_per_second`, as the loaded model's threads allow."""
        threads = self.loaded.threads if self.loaded else 0
        processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return 1 / frames_per_second(wanted, threads, processors)

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

    async def ask(self, text: str, flush_interval_s: float = 0.066) -> AsyncGenerator[SessionEvent, None]:
        """Say something and yield the answer's events, as `Inference.generate` does.

        What was answered before a stop or a crash stays in the conversation; a turn without an answer leaves none.
        """
        question = ChatMessage("user", text)
        system = [ChatMessage("system", self.system_prompt)] if self.system_prompt else []
        answer = ""
        finished = False
        try:
            events = self._inference.generate(
                (*system, *self.messages, question), sampling=self.sampling, flush_interval_s=flush_interval_s
            )
            async with aclosing(events):
                async for event in events:
                    if isinstance(event, Tokens):
                        answer += event.text
                    finished = isinstance(event, Finished) and event.reason != "stopped"
                    yield event
        finally:
            if answer or finished:
                self.messages += [question, ChatMessage("assistant", answer)]

    async def unload(self) -> None:
        """Give the model's memory back; the conversation stays."""
        await self._inference.unload()

    def clear(self) -> None:
        """Begin a new conversation."""
        self.messages.clear()
