"""One prompt to several models or settings: each column has its own worker, settings and conversation.

One after another no column runs beside another; together they share the machine, and their figures say so.
"""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from edgetui.core.failures import EdgetuiError
from edgetui.core.repeat_commands import facts_of
from edgetui.core.run_settings import ChatMessage, LoadSettings, SamplingSettings
from edgetui.core.side_by_side import (
    LEAST_COLUMNS,
    MOST_COLUMNS,
    ComparedAnswer,
    ComparedPrompt,
    ComparisonRecord,
    column_labels,
)
from edgetui.services.compared_column import STOPPED, Column
from edgetui.services.hardware.answer_energy import AnswerEnergy
from edgetui.store.comparisons import Comparisons

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from edgetui.core.bench import Machine
    from edgetui.core.models import ModelEntry
    from edgetui.services.compared_column import ColumnNews
    from edgetui.services.inference import Inference
    from edgetui.services.joint_use import JointUse
    from edgetui.store.database import Database


class Usual(NamedTuple):
    """What a plain `edgetui run` takes on this machine: a command that repeats a column need not say that."""

    load: LoadSettings = LoadSettings()
    sampling: SamplingSettings = SamplingSettings()
    system: str = ""


class Remark(msgspec.Struct, frozen=True):
    """Something that holds for all columns, in one sentence."""

    text: str


class ColumnEvent(NamedTuple):
    """What happened in which column; None for all of them (`Remark`, and `ComparisonRecord` at the end)."""

    column: int | None
    event: ColumnNews | ComparedAnswer | Remark | ComparisonRecord


class SideBySide:
    """Columns, the prompt that all of them answer, and the history of what they answered."""

    def __init__(
        self,
        make_inference: Callable[[], Inference],
        use: JointUse,
        database: Database,
        machine: Callable[[], Awaitable[Machine]],
        usual: Usual,
    ) -> None:
        """`machine` describes what the history notes figures for."""
        self._make_inference = make_inference
        self._use = use
        self._store = Comparisons(database)
        self._machine = machine
        self.usual = usual
        self.columns: list[Column] = []
        self.together = False
        """Whether all answer at once."""
        self.system_prompt = usual.system
        self._is_asking = False
        self._energy = AnswerEnergy()

    # --- columns ------------------------------------------------------------------------------------------

    def add(
        self, entry: ModelEntry, load: LoadSettings | None = None, sampling: SamplingSettings | None = None
    ) -> Column:
        """One more column; raises `EdgetuiError("bad_request")` when there are as many as there can be."""
        if len(self.columns) == MOST_COLUMNS:
            raise EdgetuiError(
                "bad_request", f"There are {MOST_COLUMNS} columns already: take one away before another is added."
            )
        column = Column(entry, load or self.usual.load, sampling or self.usual.sampling, self._make_inference())
        self.columns.append(column)
        return column

    async def remove(self, index: int) -> None:
        """Take a column away and give its memory back."""
        await self.columns.pop(index).close()

    @property
    def labels(self) -> list[str]:
        """What tells the columns apart."""
        return column_labels([(column.entry, column.load, column.sampling) for column in self.columns])

    def clear(self) -> None:
        """Begin a new conversation in every column; the models stay loaded."""
        for column in self.columns:
            column.messages.clear()

    async def close(self) -> None:
        """End all workers."""
        await asyncio.gather(*(column.close() for column in self.columns))

    # --- asking -------------------------------------------------------------------------------------------

    @property
    def is_asking(self) -> bool:
        """Whether a prompt is being answered."""
        return self._is_asking

    async def ask(self, prompt: str, flush_interval_s: float = 0.066) -> AsyncGenerator[ColumnEvent, None]:
        """Let every column answer; a `ComparedAnswer` ends each, a `ComparisonRecord` all of them.

        A column that fails says so in its answer and the others go on. Raises `EdgetuiError`: `bad_request` with too
        few columns, `busy`, `out_of_memory` when all together do not fit, and as the database does. Close the iterator
        to stop early; nothing is kept then.
        """
        if len(self.columns) < LEAST_COLUMNS:
            raise EdgetuiError("bad_request", "One column compares nothing: add another model, or other settings.")
        if self._is_asking:
            raise EdgetuiError("busy", "The columns are still at work: stop them first.")
        self._is_asking = True
        try:
            threads = await self._use.threads_each(self.columns) if self.together else 0
            for column in self.columns:
                column.begin_turn(threads)
            need = await self._use.memory(self.columns)
            if not need.fits:
                # Each alone may have room to be read into memory of its own, and all together not.
                for column in self.columns:
                    column.maps_file = True
                need = await self._use.memory(self.columns)
            if self.together and not need.fits:
                raise EdgetuiError("out_of_memory", f"{need.sentence}: compare them one after another.")
            if not need.fits:
                yield ColumnEvent(None, Remark(f"{need.sentence}: each is loaded for its turn and then leaves."))
            if any(column.shares_threads for column in self.columns):
                yield ColumnEvent(
                    None, Remark(f"Columns without a number of threads of their own take {threads} each.")
                )
            events: asyncio.Queue[ColumnEvent | None] = asyncio.Queue()
            work = asyncio.create_task(self._answer_all(prompt, flush_interval_s, need.fits, events))
            try:
                while (event := await events.get()) is not None:
                    yield event
                await work
            finally:
                work.cancel()
                await asyncio.wait([work])
        finally:
            self._is_asking = False

    async def stop(self, index: int | None = None) -> None:
        """End the answer of one column, or of all; those that have not begun do not begin."""
        for column in self.columns if index is None else [self.columns[index]]:
            await column.stop()

    async def _answer_all(
        self, prompt: str, flush_interval_s: float, keep: bool, events: asyncio.Queue[ColumnEvent | None]
    ) -> None:
        seed = random.getrandbits(32)
        labels, asked_at, together = self.labels, time.time(), self.together
        columns = list(self.columns)
        answers: list[ComparedAnswer | None] = [None] * len(columns)
        energy = None if together else self._energy

        async def answer(index: int) -> None:
            column = columns[index]
            sampling = column.sampling
            if sampling.seed is None:
                # The same draws for every column that has no seed of its own.
                sampling = msgspec.structs.replace(sampling, seed=seed)
            messages = self._messages(column, prompt)

            def tell(news: ColumnNews) -> None:
                events.put_nowait(ColumnEvent(index, news))

            told = answers[index] = await self._answer(
                column, messages, sampling, labels[index], flush_interval_s, energy, tell
            )
            events.put_nowait(ColumnEvent(index, told))

        try:
            if together:
                # One by one: side by side they would only wait for the same disk.
                for index, column in enumerate(columns):
                    await self._load(column, index, events)
                await asyncio.gather(*(answer(index) for index in range(len(columns))))
            else:
                for index, column in enumerate(columns):
                    await answer(index)
                    if not keep:
                        await column.unload()
            whole = tuple(told for told in answers if told is not None)
            if any(told.text or told.figures or told.failure != STOPPED for told in whole):
                compared = ComparedPrompt(
                    prompt=prompt,
                    columns=whole,
                    asked_at=asked_at,
                    together=together,
                    machine=await self._machine(),
                )
                record_id = await asyncio.to_thread(self._store.add, compared)
                events.put_nowait(ColumnEvent(None, ComparisonRecord(record_id=record_id, compared=compared)))
        finally:
            events.put_nowait(None)

    def _messages(self, column: Column, prompt: str) -> tuple[ChatMessage, ...]:
        system = (ChatMessage("system", self.system_prompt),) if self.system_prompt else ()
        return (*system, *column.messages, ChatMessage("user", prompt))

    async def _load(self, column: Column, index: int, events: asyncio.Queue[ColumnEvent | None]) -> None:
        """Have a column's model in memory; what hinders that is told when it answers."""
        with suppress(EdgetuiError):
            await column.have_loaded(lambda news: events.put_nowait(ColumnEvent(index, news)))

    async def _answer(
        self,
        column: Column,
        messages: tuple[ChatMessage, ...],
        sampling: SamplingSettings,
        label: str,
        flush_interval_s: float,
        energy: AnswerEnergy | None,
        tell: Callable[[ColumnNews], None],
    ) -> ComparedAnswer:
        failure = await column.answer(messages, sampling, flush_interval_s, energy, tell)
        loaded, entry, figures = column.last_loaded, column.entry, column.figures
        return ComparedAnswer(
            facts=facts_of(
                entry,
                column.wanted_load,
                sampling,
                messages=messages,
                seed=figures.seed if figures is not None else None,
                context_tokens=loaded.context_tokens if loaded is not None else 0,
                threads=loaded.threads if loaded is not None else 0,
                engine_version=loaded.engine_version if loaded is not None else "",
                use_mmap=loaded.use_mmap if loaded is not None else None,
                in_huge_pages=loaded is not None and loaded.huge_page_bytes > 0,
                reused_tokens=figures.prompt_tokens - figures.prefill_tokens if figures is not None else 0,
                usual_load=self.usual.load,
                usual_sampling=self.usual.sampling,
                usual_system=self.usual.system,
            ),
            label=label,
            quant_type=entry.quant_type or "",
            size_bytes=entry.size_bytes,
            fingerprint=entry.fingerprint,
            engine=loaded.engine if loaded is not None else "",
            engine_version=loaded.engine_version if loaded is not None else "",
            backend=loaded.backend if loaded is not None else "",
            load_s=column.load_s,
            text=column.text,
            figures=figures,
            failure=failure.message if failure is not None else "",
        )

    # --- history ------------------------------------------------------------------------------------------

    async def prefer(self, record_id: int, column: int | None) -> None:
        """Note which column the person liked best; raises `EdgetuiError("not_found")`."""
        if not await asyncio.to_thread(self._store.prefer, record_id, column):
            raise _unknown(record_id)

    async def history(self) -> list[ComparisonRecord]:
        """Every prompt that was compared, the newest first."""
        return await asyncio.to_thread(self._store.records)

    async def record(self, record_id: int) -> ComparisonRecord:
        """One of them; raises `EdgetuiError("not_found")`."""
        found = await asyncio.to_thread(self._store.record, record_id)
        if found is None:
            raise _unknown(record_id)
        return found

    async def forget(self, record_id: int) -> None:
        """Remove one; raises `EdgetuiError("not_found")`."""
        if not await asyncio.to_thread(self._store.remove, record_id):
            raise _unknown(record_id)


def _unknown(record_id: int) -> EdgetuiError:
    return EdgetuiError("not_found", f"There is no comparison {record_id}: edgetui compare --history lists them.")
