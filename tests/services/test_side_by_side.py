"""Several models or settings on one prompt, over real workers and the real model."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import aclosing
from typing import TYPE_CHECKING

import msgspec
import psutil
import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.core.run_settings import LoadSettings, SamplingSettings
from edgetui.core.side_by_side import ComparedAnswer, ComparisonRecord, as_builtins, as_markdown
from edgetui.services.side_by_side import ColumnEvent, Remark
from edgetui.worker.protocol import Finished, Loaded, Tokens

if TYPE_CHECKING:
    from pathlib import Path

    from edgetui.core.models import ModelEntry
    from edgetui.services.lab import Lab
    from edgetui.services.side_by_side import SideBySide


def usable_cores() -> int:
    return min(psutil.cpu_count(logical=False) or 1, len(os.sched_getaffinity(0)))


SMALL = LoadSettings(context_tokens=512, threads=1)
QUANTIZED = LoadSettings(context_tokens=512, threads=1, kv_cache_type="q8_0")
SHORT = SamplingSettings(temperature=0, max_tokens=6)
ENDLESS = SamplingSettings(temperature=0, ignore_eos=True)


async def _asked(compared: SideBySide, prompt: str = "What is rain?") -> tuple[list[ColumnEvent], ComparisonRecord]:
    events = [event async for event in compared.ask(prompt)]
    record = events[-1].event
    assert isinstance(record, ComparisonRecord)
    return events, record


def _order(events: list[ColumnEvent], kind: type[object]) -> list[int | None]:
    return [column for column, event in events if isinstance(event, kind)]


async def test_columns_answer_one_after_another_and_the_row_is_kept(lab: Lab, demo_entry: ModelEntry) -> None:
    compared = lab.side_by_side
    compared.add(demo_entry, SMALL, SHORT)
    compared.add(demo_entry, QUANTIZED, SHORT)
    events, record = await _asked(compared)
    assert _order(events, Finished) == [0, 1] and _order(events, ComparedAnswer) == [0, 1]
    streamed = [event.column for event in events if isinstance(event.event, Tokens)]
    assert streamed == sorted(streamed, key=lambda column: column or 0)
    first, second = record.compared.columns
    assert first.text and first.figures is not None and second.figures is not None
    assert first.figures.seed == second.figures.seed
    assert first.figures.generated_tokens == 6 and first.figures.decode_tps and first.figures.itl_p99_s
    assert first.figures.memory_bytes and first.figures.memory_bytes > demo_entry.size_bytes
    assert first.load_s and first.engine == "llama.cpp" and "kv cache type q8_0" in second.label
    assert "one after another" in as_markdown(record)
    assert not record.compared.together

    # The next prompt goes on with each conversation, and nothing is loaded again.
    events, again = await _asked(compared, "And snow?")
    assert not _order(events, Loaded)
    assert again.compared.columns[0].load_s is None
    said = [message.content for message in again.compared.columns[1].facts.messages]
    # The second turn goes on from the KV cache of the first.
    assert record.compared.columns[1].facts.reused_tokens == 0 < again.compared.columns[1].facts.reused_tokens
    assert said == ["What is rain?", second.text, "And snow?"]
    assert await compared.history() == [again, record]

    await compared.prefer(record.record_id, 1)
    kept = await compared.record(record.record_id)
    assert kept.preferred == 1 and "(preferred)" in as_markdown(kept)
    told = as_builtins(kept)
    columns = msgspec.convert(told["columns"], list[dict[str, object]])
    assert [len(msgspec.convert(column["commands"], list[object])) for column in columns] == [3, 3]
    with pytest.raises(EdgetuiError, match="no comparison 99"):
        await compared.prefer(99, None)


async def test_together_both_run_at_once_and_one_that_fails_leaves_the_other(
    lab: Lab, demo_entry: ModelEntry, tmp_path: Path
) -> None:
    automatic = msgspec.structs.replace(SMALL, threads=0)
    gone = msgspec.structs.replace(
        demo_entry, name="gone", path=tmp_path / "gone.gguf", parts=(tmp_path / "gone.gguf",)
    )
    compared = lab.side_by_side
    compared.together = True
    for entry, load in ((demo_entry, automatic), (gone, SMALL), (demo_entry, QUANTIZED)):
        compared.add(entry, load, msgspec.structs.replace(SHORT, max_tokens=24, ignore_eos=True))
    events, record = await _asked(compared)
    streamed = [event.column for event in events if isinstance(event.event, Tokens)]
    assert streamed != sorted(streamed, key=lambda column: column or 0), "they took turns"
    first, failed, third = record.compared.columns
    assert first.figures is not None and third.figures is not None
    assert failed.figures is None and "gone.gguf" in failed.failure and not failed.text
    assert "together" in first.figures.energy_reason
    # Three columns: each that nobody gave a number of threads gets its share of the cores.
    assert any(isinstance(event.event, Remark) and "threads" in event.event.text for event in events)
    assert first.facts.threads == max(1, usable_cores() // 3)
    assert record.compared.together and "beside each other" in as_markdown(record)
    assert failed.failure in as_markdown(record)


async def test_a_worker_killed_in_mid_stream_costs_its_own_column_only(lab: Lab, demo_entry: ModelEntry) -> None:
    compared = lab.side_by_side
    victim = compared.add(demo_entry, SMALL, ENDLESS)
    compared.add(demo_entry, QUANTIZED, SHORT)
    record: ComparisonRecord | None = None
    async with aclosing(compared.ask("What is rain?")) as events:
        async for column, event in events:
            if column == 0 and isinstance(event, Tokens) and (pid := victim.worker_pid) is not None:
                os.kill(pid, signal.SIGKILL)
            if isinstance(event, ComparisonRecord):
                record = event
    assert record is not None
    first, second = record.compared.columns
    assert "SIGKILL" in first.failure and first.text and first.figures is None
    assert not second.failure and second.figures is not None
    # What it had said stays in its conversation, and the next prompt loads it again.
    victim.sampling = SHORT
    _, record = await _asked(compared, "And snow?")
    assert not record.compared.columns[0].failure
    assert record.compared.columns[0].facts.messages[1].content == first.text


async def test_a_stop_ends_one_column_or_all(lab: Lab, demo_entry: ModelEntry) -> None:
    compared = lab.side_by_side
    compared.add(demo_entry, SMALL, ENDLESS)
    compared.add(demo_entry, QUANTIZED, SHORT)
    record: ComparisonRecord | None = None
    async for column, event in compared.ask("What is rain?"):
        if column == 0 and isinstance(event, Tokens):
            await compared.stop(0)
        if isinstance(event, ComparisonRecord):
            record = event
    assert record is not None
    first, second = (answer.figures for answer in record.compared.columns)
    assert first is not None and second is not None and (first.reason, second.reason) == ("stopped", "max_tokens")

    # While the first one loads: nothing begins, and nothing is kept.
    compared.columns[0].load = LoadSettings(context_tokens=256, threads=1)
    seen: list[ColumnEvent] = []
    async for happened in compared.ask("And snow?"):
        seen.append(happened)
        if len(seen) == 1:
            await compared.stop()
    answers = [happened.event for happened in seen if isinstance(happened.event, ComparedAnswer)]
    assert ["stopped before" in answer.failure for answer in answers] == [True, True]
    assert await compared.history() == [record]


async def test_what_does_not_fit_together_is_said_before_and_goes_one_by_one(
    lab: Lab, demo_entry: ModelEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared = lab.side_by_side
    compared.add(demo_entry, SMALL, SHORT)
    second = compared.add(demo_entry, QUANTIZED, SHORT)

    async def little() -> int:
        return demo_entry.size_bytes

    monkeypatch.setattr(compared._use, "_available_bytes", little)
    compared.together = True
    with pytest.raises(EdgetuiError, match=r"All 2 columns together need .* are free: compare them one after another"):
        await _asked(compared)
    compared.together = False
    events, record = await _asked(compared)
    assert isinstance(events[0].event, Remark) and "loaded for its turn" in events[0].event.text
    assert all(answer.figures is not None for answer in record.compared.columns)
    assert [column.loaded for column in compared.columns] == [None, None]
    assert second.last_loaded is not None


async def test_columns_of_one_file_map_it_where_a_copy_for_each_has_no_room(
    lab: Lab, demo_entry: ModelEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared = lab.side_by_side
    columns = [compared.add(demo_entry, settings, SHORT) for settings in (SMALL, QUANTIZED)]
    mapped = [
        await lab.fit.memory(demo_entry, msgspec.structs.replace(column.load, use_mmap=True)) for column in columns
    ]
    room = sum(fit.parts.total for fit in mapped) - mapped[0].parts.weights_mapped + 10 * 1024**2

    async def little() -> int:
        return room

    monkeypatch.setattr(compared._use, "_available_bytes", little)
    compared.together = True
    _, record = await _asked(compared)
    assert all(answer.figures is not None for answer in record.compared.columns)
    assert [column.last_loaded and column.last_loaded.use_mmap for column in columns] == [True, True]


async def test_too_few_too_many_and_two_at_once_are_refused(lab: Lab, demo_entry: ModelEntry) -> None:
    compared = lab.side_by_side
    compared.add(demo_entry, SMALL, ENDLESS)
    with pytest.raises(EdgetuiError, match="One column compares nothing"):
        await _asked(compared)
    for _ in range(3):
        compared.add(demo_entry, SMALL, SHORT)
    with pytest.raises(EdgetuiError, match="4 columns already"):
        compared.add(demo_entry)
    assert len(set(compared.labels)) == 4
    async with aclosing(compared.ask("What is rain?")) as events:
        await anext(events)
        with pytest.raises(EdgetuiError, match="still at work"):
            await _asked(compared)
    assert not compared.is_asking
    await asyncio.sleep(0)
    assert await compared.history() == []
