"""llama.cpp's engine in the test's own process: what a session worker does, without the process."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgetui.core.run_settings import ChatMessage, LoadSettings, SamplingSettings
from edgetui.engines.llama_cpp.engine import LlamaCppEngine
from edgetui.engines.stopping import StopFlag
from edgetui.worker.protocol import Finished, Generate, Load, Loaded, SessionEvent, Tokens

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass
class Driven:
    """An engine with a model."""

    engine: LlamaCppEngine
    loaded: Loaded

    def say(self, prompt: str | tuple[ChatMessage, ...], **sampling: Any) -> tuple[str, Finished]:
        """Generate, greedily unless told otherwise."""
        events: list[SessionEvent] = []
        settings = SamplingSettings(**{"temperature": 0.0, "max_tokens": 16, **sampling})
        command = (
            Generate(turn=1, prompt=prompt, sampling=settings)
            if isinstance(prompt, str)
            else Generate(turn=1, messages=prompt, sampling=settings)
        )
        finished = self.engine.generate(command, time.perf_counter_ns(), events.append, StopFlag())
        return "".join(event.text for event in events if isinstance(event, Tokens)), finished


@contextmanager
def driven(model: Path, *, cache_dir: Path | None = None, **settings: Any) -> Iterator[Driven]:
    """The engine with a model loaded; unloaded afterwards."""
    engine = LlamaCppEngine()
    command = Load(
        path=str(model),
        settings=LoadSettings(**{"context_tokens": 512, "threads": 1, **settings}),
        cache_dir=str(cache_dir or ""),
    )
    loaded = engine.load(command, lambda fraction: None, StopFlag())
    try:
        yield Driven(engine, loaded)
    finally:
        engine.unload()
