"""The loaded model: load, generate, stop, unload, and what it costs in memory; one session worker at a time."""

from __future__ import annotations

import asyncio
import os
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from edgetui.core.engines import ENGINE_OF
from edgetui.core.failures import EdgetuiError
from edgetui.core.model_text import why_no_chat
from edgetui.core.run_settings import SamplingSettings
from edgetui.worker import wire
from edgetui.worker.protocol import (
    DescribeEngine,
    Embed,
    Embedded,
    EngineInfo,
    Finished,
    Generate,
    Inspect,
    Inspected,
    Load,
    Loaded,
    LoadProgress,
    Tokenize,
    Tokenized,
    Unload,
)
from edgetui.worker.session import SessionWorker, session_worker

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from edgetui.config import Paths
    from edgetui.core.models import ModelEntry
    from edgetui.core.run_settings import ChatMessage, LoadSettings
    from edgetui.core.servers import ServerEndpoint
    from edgetui.worker.protocol import Command, SessionEvent

RECORD_VARIABLE = "EDGETUI_RECORD"
"""Names a file that gets every `Finished` event as a line of JSON: a benchmark reads there what the app measured."""
SAVE_PATIENCE_S = 20.0
"""Writing a KV cache of a few GB to an SD card takes longer, and nobody waits for that when they leave."""
_TAKES_THREADS = ("gguf", "onnx")
"""Formats whose engine is told how many threads to take."""
_NOTHING_LOADED = "No model is loaded: pick one first."

_Answer = TypeVar("_Answer", Tokenized, Inspected, Embedded)


async def _no_key(_endpoint: ServerEndpoint) -> str:
    return ""


class Inference:
    """At most one model in memory, in a worker process of its engine that ends with this object's process."""

    def __init__(self, paths: Paths, read_key: Callable[[ServerEndpoint], Awaitable[str]] = _no_key) -> None:
        """`read_key` finds the key of a server, empty where it needs none; it may raise `EdgetuiError`."""
        self._paths = paths
        self._read_key = read_key
        self._worker: SessionWorker | None = None
        self._process: Any = None
        self._keeps_prompt_cache = False
        self._turn = 0
        self.entry: ModelEntry | None = None
        """The model that is loaded."""
        self.loaded: Loaded | None = None
        """What the engine said of it; None when nothing is loaded."""

    async def load(
        self,
        entry: ModelEntry,
        settings: LoadSettings,
        on_progress: Callable[[float], None] = lambda fraction: None,
    ) -> Loaded:
        """Replace the loaded model; `on_progress` gets shares from 0 to 1.

        Raises `EdgetuiError`; nothing is loaded then. Cancelling the task stops the load.
        """
        if entry.problem:
            raise EdgetuiError("bad_file", entry.problem)
        if not entry.can_run:
            raise EdgetuiError("unsupported", why_no_chat(entry))
        remarks = _thread_remarks(entry, settings)
        await self.unload()
        command = Load(
            path=str(entry.path) if entry.endpoint is None else "",
            settings=settings,
            endpoint=entry.endpoint,
            key=await self._read_key(entry.endpoint) if entry.endpoint is not None else "",
            cache_dir=str(self._paths.prompt_cache_dir),
        )
        worker = self._worker = await SessionWorker.start(
            self._paths.log_dir, ENGINE_OF[entry.format], self._paths.toolchains_dir
        )
        try:
            async with aclosing(worker.request(command)) as events:
                async for event in events:
                    if isinstance(event, LoadProgress):
                        on_progress(event.fraction)
                    elif isinstance(event, Loaded):
                        event = msgspec.structs.replace(event, remarks=(*remarks, *event.remarks))
                        self.entry, self.loaded = entry, event
                        self._keeps_prompt_cache = settings.prompt_cache and "prompt_cache" in event.abilities
                        return event
        except BaseException:
            # Whatever half a load left behind goes back to the machine with its process.
            await self.unload()
            raise
        raise AssertionError("a load ends with Loaded or an error")

    async def generate(
        self,
        messages: Sequence[ChatMessage] = (),
        *,
        prompt: str | None = None,
        sampling: SamplingSettings | None = None,
        flush_interval_s: float = 0.066,
    ) -> AsyncGenerator[SessionEvent, None]:
        """Answer a conversation, or go on from a raw prompt; ends with `Finished`.

        Raises `EdgetuiError`; of kind `crashed` when the worker died, and nothing is loaded then. Close the
        iterator to stop early.
        """
        if self._worker is None or self.loaded is None:
            raise EdgetuiError("bad_request", _NOTHING_LOADED)
        self._turn += 1
        command = Generate(
            turn=self._turn,
            messages=tuple(messages),
            prompt=prompt,
            sampling=sampling or SamplingSettings(),
            flush_interval_s=flush_interval_s,
        )
        try:
            async with aclosing(self._worker.request(command)) as events:
                async for event in events:
                    if isinstance(event, Finished):
                        _record(event)
                    yield event
        except EdgetuiError as error:
            if error.failure.kind == "crashed":
                self._forget()
            raise

    async def tokenize(self, text: str) -> Tokenized:
        """The text as the loaded model's tokens; raises `EdgetuiError`."""
        return await self._answer_to(Tokenize(text=text), Tokenized)

    async def inspect(self, alternatives: int = 8) -> Inspected:
        """What else each token of the last answer could have been; raises `EdgetuiError`."""
        return await self._answer_to(Inspect(alternatives=alternatives), Inspected)

    async def embed(self, texts: Sequence[str]) -> Embedded:
        """A vector of length 1 for each text; raises `EdgetuiError`."""
        return await self._answer_to(Embed(texts=tuple(texts)), Embedded)

    async def stop(self) -> None:
        """End the load or generation under way; its last event still arrives."""
        if self._worker is not None:
            await self._worker.stop()

    async def unload(self) -> None:
        """Give the model's memory back to the machine by ending its process, which may keep its prompt cache before."""
        worker, keeps = self._worker, self._keeps_prompt_cache
        self._forget()
        if worker is None:
            return
        try:
            if keeps:
                await asyncio.wait_for(_free(worker), SAVE_PATIENCE_S)
        except (EdgetuiError, asyncio.TimeoutError):
            # A conversation that is not kept costs a prefill next time, and nothing else.
            pass
        finally:
            await worker.kill()

    async def close(self) -> None:
        """End the worker, if there is one."""
        await self.unload()

    async def engine_info(self) -> EngineInfo:
        """The engine's version and build, told by a worker of its own so that a running answer is not disturbed."""
        async with (
            session_worker(self._paths.log_dir) as worker,
            aclosing(worker.request(DescribeEngine())) as events,
        ):
            async for event in events:
                if isinstance(event, EngineInfo):
                    return event
        raise AssertionError("a description ends with EngineInfo or an error")

    @property
    def worker_pid(self) -> int | None:
        """Process id of the session worker, None when there is none."""
        return self._worker.pid if self._worker is not None else None

    def resident_bytes(self) -> int | None:
        """Resident memory of the worker now, mapped weights included; None when there is no worker."""
        if self._worker is None:
            return None
        import psutil

        try:
            if self._process is None or self._process.pid != self._worker.pid:
                self._process = psutil.Process(self._worker.pid)
            return int(self._process.memory_info().rss)
        except psutil.Error:
            return None

    async def _answer_to(self, command: Command, wanted: type[_Answer]) -> _Answer:
        if self._worker is None or self.loaded is None:
            raise EdgetuiError("bad_request", _NOTHING_LOADED)
        try:
            async with aclosing(self._worker.request(command)) as events:
                async for event in events:
                    if isinstance(event, wanted):
                        return event
        except EdgetuiError as error:
            if error.failure.kind == "crashed":
                self._forget()
            raise
        raise AssertionError("a command ends with its answer or an error")

    def _forget(self) -> None:
        self._worker = None
        self._keeps_prompt_cache = False
        self._process = None
        self.entry = self.loaded = None


def _thread_remarks(entry: ModelEntry, settings: LoadSettings) -> tuple[str, ...]:
    """What speaks against the threads that were asked for; raises `EdgetuiError` where they are far too many."""
    prefill = settings.threads_prefill if entry.is_gguf else 0
    if entry.format not in _TAKES_THREADS or not (settings.threads or prefill):
        return ()
    from edgetui.services.hardware.thread_limits import require_threads, thread_remarks

    require_threads(settings.threads, prefill)
    return thread_remarks(settings.threads, prefill)


async def _free(worker: SessionWorker) -> None:
    await worker.stop()
    async with aclosing(worker.request(Unload())) as events:
        async for _ in events:
            pass


def _record(event: Finished) -> None:
    if path := os.environ.get(RECORD_VARIABLE):
        with Path(path).open("ab") as stream:
            stream.write(wire.encode_line(event))
