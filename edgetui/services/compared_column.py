"""One column of a comparison: a model with its settings, its worker, its conversation, and its last answer."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing, nullcontext
from typing import TYPE_CHECKING

import msgspec

from edgetui.core.failures import EdgetuiError, Failure
from edgetui.core.heap import settle_objects
from edgetui.core.run_settings import ChatMessage
from edgetui.core.side_by_side import AnswerFigures
from edgetui.core.token_rate import TokenRate, decode_tps, prefill_tps
from edgetui.worker.protocol import Finished, Loaded, PrefillProgress, PromptReady, Tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edgetui.core.models import ModelEntry
    from edgetui.core.run_settings import LoadSettings, SamplingSettings
    from edgetui.services.hardware.answer_energy import AnswerEnergy
    from edgetui.services.inference import Inference

STOPPED = "It was stopped before it began."


class ColumnLoading(msgspec.Struct, frozen=True):
    """The model is being read."""

    fraction: float


ColumnNews = ColumnLoading | Loaded | PromptReady | PrefillProgress | Tokens | Finished
"""What a column tells while it works."""


class Column:
    """A model under settings that may change between prompts; it is loaded anew only when it has to be."""

    def __init__(self, entry: ModelEntry, load: LoadSettings, sampling: SamplingSettings, inference: Inference) -> None:
        self.entry = entry
        self.load = load
        self.sampling = sampling
        self.messages: list[ChatMessage] = []
        """What was said in this column, without the system prompt."""
        self.is_stopped = False
        """Whether the person stopped it in this turn."""
        self.last_loaded: Loaded | None = None
        """What the engine said of the model when it answered last; it need not be in memory now."""
        self.load_s: float | None = None
        """What loading took in this turn; None when the model was in memory already."""
        self.text = ""
        """Of the last answer."""
        self.figures: AnswerFigures | None = None
        """Of the last answer; None when it did not end well."""
        self._inference = inference
        self._threads = 0
        self.maps_file = False
        """Whether its file is mapped where the settings leave that open: columns of one file then share its memory."""
        self._loaded_with: tuple[ModelEntry, LoadSettings] | None = None
        self._loading: asyncio.Task[Loaded] | None = None

    @property
    def wanted_load(self) -> LoadSettings:
        """The settings, with what it takes on for the sake of the others."""
        load = msgspec.structs.replace(self.load, threads=self._threads) if self.shares_threads else self.load
        if self.maps_file and load.use_mmap is None and self.entry.is_gguf:
            load = msgspec.structs.replace(load, use_mmap=True)
        return load

    @property
    def shares_threads(self) -> bool:
        """Whether its threads were shared out, and not said by anybody."""
        return bool(self._threads) and not self.load.threads and self.entry.endpoint is None

    @property
    def loaded(self) -> Loaded | None:
        """What the engine said of the model; None unless it is in memory as the settings want it."""
        if self._loaded_with != (self.entry, self.wanted_load):
            return None
        # A worker that died between two turns holds no memory, and nobody has told us yet.
        return self._inference.loaded if self._inference.resident_bytes() else None

    @property
    def resident_bytes(self) -> int:
        """Memory of its worker now."""
        return self._inference.resident_bytes() or 0

    @property
    def worker_pid(self) -> int | None:
        """Process id of its worker, None when there is none."""
        return self._inference.worker_pid

    def begin_turn(self, threads: int = 0) -> None:
        """Forget what the turn before cost; `threads` is its share of the cores, 0 for all of them."""
        self._threads = threads
        self.is_stopped = False
        self.load_s = None

    async def have_loaded(self, tell: Callable[[ColumnNews], None]) -> Loaded:
        """The model in memory as the settings want it; raises `EdgetuiError`, of kind `cancelled` when stopped."""
        if (loaded := self.loaded) is not None:
            return loaded
        if self.is_stopped:
            raise EdgetuiError("cancelled", STOPPED)
        wanted = (self.entry, self.wanted_load)
        began = time.perf_counter()
        self._loading = asyncio.create_task(
            self._inference.load(*wanted, lambda fraction: tell(ColumnLoading(fraction)))
        )
        try:
            loaded = await self._loading
        except asyncio.CancelledError:
            if not self.is_stopped:
                # It is this task that was cancelled, and the load has to end before it goes.
                self._loading.cancel()
                await asyncio.wait([self._loading])
                raise
            raise EdgetuiError("cancelled", STOPPED) from None
        finally:
            self._loading = None
        self._loaded_with = wanted
        self.last_loaded = loaded
        self.load_s = time.perf_counter() - began
        # Now, and not while its prompt is computed.
        settle_objects()
        tell(loaded)
        return loaded

    async def answer(
        self,
        messages: Sequence[ChatMessage],
        sampling: SamplingSettings,
        flush_interval_s: float,
        energy: AnswerEnergy | None,
        tell: Callable[[ColumnNews], None],
    ) -> Failure | None:
        """Answer the last of `messages`; what came of it stands in `text` and `figures`. Gives why it failed.

        What was answered before a stop or a crash stays in the conversation.
        """
        self.text, self.figures = "", None
        try:
            await self.have_loaded(tell)
            if self.is_stopped:
                return Failure("cancelled", STOPPED)
            await self._generate(messages, sampling, flush_interval_s, energy, tell)
        except EdgetuiError as error:
            return error.failure
        finally:
            if self.text or self.figures is not None:
                self.messages += [messages[-1], ChatMessage("assistant", self.text)]
        return None

    async def stop(self) -> None:
        """End the load or the answer under way, or see that none begins."""
        self.is_stopped = True
        if self._loading is not None:
            self._loading.cancel()
        else:
            await self._inference.stop()

    async def unload(self) -> None:
        """Give its memory back; the conversation stays."""
        self._loaded_with = None
        await self._inference.unload()

    async def close(self) -> None:
        """End its worker."""
        self.is_stopped = True
        if self._loading is not None:
            self._loading.cancel()
        await self.unload()

    async def _generate(
        self,
        messages: Sequence[ChatMessage],
        sampling: SamplingSettings,
        flush_interval_s: float,
        energy: AnswerEnergy | None,
        tell: Callable[[ColumnNews], None],
    ) -> None:
        rate = TokenRate()
        began_s: float | None = None
        finished: Finished | None = None
        async with nullcontext() if energy is None else energy.following():
            events = self._inference.generate(messages, sampling=sampling, flush_interval_s=flush_interval_s)
            async with aclosing(events):
                async for event in events:
                    if isinstance(event, Tokens):
                        began_s = time.perf_counter() if began_s is None else began_s
                        self.text += event.text
                        rate.add(event.times_ns)
                    elif isinstance(event, Finished):
                        finished = event
                    if isinstance(event, Tokens | Finished | PromptReady | PrefillProgress):
                        tell(event)
            ended_s = time.perf_counter()
        assert finished is not None, "an answer ends with Finished or an error"
        joules, meter, reason = self._energy(energy, began_s, ended_s)
        later_tokens = finished.generated_tokens - 1
        self.figures = AnswerFigures(
            reason=finished.reason,
            prompt_tokens=finished.prompt_tokens,
            prefill_tokens=finished.prefill_tokens,
            generated_tokens=finished.generated_tokens,
            seed=finished.seed,
            ttft_s=finished.ttft_s,
            prefill_tps=prefill_tps(finished.prefill_tokens, finished.prefill_s),
            decode_tps=decode_tps(finished.generated_tokens, finished.decode_s),
            itl_p50_s=rate.interval_s(50),
            itl_p99_s=rate.interval_s(99),
            network_s=finished.network_s,
            memory_bytes=None if self.entry.endpoint is not None else self._inference.resident_bytes(),
            joules_per_token=None if joules is None or later_tokens < 1 else joules / later_tokens,
            energy_meter=meter,
            energy_reason=reason,
        )

    def _energy(
        self, energy: AnswerEnergy | None, began_s: float | None, ended_s: float
    ) -> tuple[float | None, str, str]:
        """Joules from the first token to the last, the meter that told them, and why there are none."""
        if self.entry.endpoint is not None:
            return None, "", "a server computes it"
        if energy is None:
            return None, "", "the columns ran together, and a meter tells no one's share"
        if began_s is None:
            return None, "", "nothing was measured"
        loaded = self._inference.loaded
        told = energy.between(began_s, ended_s, loaded.backend if loaded is not None else "")
        return told.joules, told.meter, told.reason
