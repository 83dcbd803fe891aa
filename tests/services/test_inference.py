"""Loading and generating with the real engine and model."""

from __future__ import annotations

from contextlib import aclosing
from pathlib import Path

import msgspec
import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.core.models import ModelEntry
from edgetui.core.run_settings import KV_CACHE_TYPES, ChatMessage, KvCacheType, LoadSettings, SamplingSettings
from edgetui.services.inference import Inference
from edgetui.services.lab import Lab
from edgetui.worker.protocol import Finished, PrefillProgress, PromptReady, SessionEvent, Tokens

# One thread: two that wait for each other at every layer crawl when a test machine is busy with something else.
SMALL = LoadSettings(context_tokens=2048, threads=1)


async def answer(
    inference: Inference, messages: list[ChatMessage], sampling: SamplingSettings, prompt: str | None = None
) -> tuple[str, Finished, list[SessionEvent]]:
    async with aclosing(inference.generate(messages, prompt=prompt, sampling=sampling)) as stream:
        events = [event async for event in stream]
    text = "".join(event.text for event in events if isinstance(event, Tokens))
    last = events[-1]
    assert isinstance(last, Finished)
    return text, last, events


async def test_figures_agree_with_the_tokens_that_came(lab: Lab, demo_entry: ModelEntry) -> None:
    await lab.inference.load(demo_entry, SMALL)
    _, finished, events = await answer(
        lab.inference, [ChatMessage("user", "Count to ten.")], SamplingSettings(seed=3, max_tokens=24, ignore_eos=True)
    )
    times = [time for event in events if isinstance(event, Tokens) for time in event.times_ns]
    assert finished.generated_tokens == len(times) == 24
    assert times == sorted(times)
    assert finished.ttft_s == times[0] / 1e9
    assert finished.decode_s == pytest.approx((times[-1] - times[0]) / 1e9)
    assert finished.prefill_tokens == finished.prompt_tokens and finished.reused_tokens == 0
    assert finished.reason == "max_tokens"
    resident = lab.inference.resident_bytes()
    assert resident is not None and resident > demo_entry.size_bytes


async def test_a_kept_prompt_cache_outlives_the_worker(lab: Lab, demo_entry: ModelEntry) -> None:
    settings = msgspec.structs.replace(SMALL, context_tokens=512, prompt_cache=True)
    conversation = [ChatMessage("user", "Name three colours, and say of each which fruit has it, in short sentences.")]
    await lab.inference.load(demo_entry, settings)
    text, first, _ = await answer(lab.inference, conversation, SamplingSettings(seed=1, max_tokens=6))
    await lab.inference.unload()
    assert len(list(lab.paths.prompt_cache_dir.iterdir())) == 1
    await lab.inference.load(demo_entry, settings)
    conversation += [ChatMessage("assistant", text), ChatMessage("user", "More.")]
    _, second, _ = await answer(lab.inference, conversation, SamplingSettings(seed=1, max_tokens=2))
    assert second.reused_tokens == first.context_used


async def test_the_second_turn_prefills_only_what_is_new(lab: Lab, demo_entry: ModelEntry) -> None:
    await lab.inference.load(demo_entry, SMALL)
    conversation = [ChatMessage("user", "Name three colours.")]
    text, first, _ = await answer(lab.inference, conversation, SamplingSettings(seed=1, max_tokens=20))
    conversation += [ChatMessage("assistant", text), ChatMessage("user", "And three animals.")]
    _, second, events = await answer(lab.inference, conversation, SamplingSettings(seed=1, max_tokens=5))
    assert second.reused_tokens == first.context_used
    assert second.prefill_tokens == second.prompt_tokens - second.reused_tokens < 25
    ready = next(event for event in events if isinstance(event, PromptReady))
    assert ready.reused_tokens == second.reused_tokens


async def test_reusing_the_cache_gives_the_same_conversation_to_the_model(lab: Lab, demo_entry: ModelEntry) -> None:
    greedy = SamplingSettings(temperature=0, max_tokens=16)
    conversation = [ChatMessage("user", "Name three colours.")]
    await lab.inference.load(demo_entry, SMALL)
    text, _, _ = await answer(lab.inference, conversation, greedy)
    conversation += [ChatMessage("assistant", text), ChatMessage("user", "And three animals.")]
    continued_text, continued, _ = await answer(lab.inference, conversation, greedy)
    await lab.inference.load(demo_entry, SMALL)
    _, afresh, _ = await answer(lab.inference, conversation, greedy)
    assert continued.reused_tokens > 0 and afresh.reused_tokens == 0
    # The words may differ by rounding, since batches are cut differently; the conversation may not.
    assert continued.prompt_tokens == afresh.prompt_tokens
    assert continued_text


async def test_a_changed_history_reuses_only_its_common_beginning(lab: Lab, demo_entry: ModelEntry) -> None:
    await lab.inference.load(demo_entry, SMALL)
    short = SamplingSettings(temperature=0, max_tokens=8)
    _, first, _ = await answer(lab.inference, [ChatMessage("user", "Name three colours.")], short)
    _, second, _ = await answer(lab.inference, [ChatMessage("user", "Name three rivers.")], short)
    assert 0 < second.reused_tokens < first.prompt_tokens


async def test_the_same_seed_gives_the_same_answer(lab: Lab, demo_entry: ModelEntry) -> None:
    await lab.inference.load(demo_entry, SMALL)
    sampling = SamplingSettings(seed=42, temperature=1.5, top_k=0, top_p=1.0, min_p=0, max_tokens=24, ignore_eos=True)
    prompt = [ChatMessage("user", "Tell me something.")]
    one, finished, _ = await answer(lab.inference, prompt, sampling)
    two, _, _ = await answer(lab.inference, prompt, sampling)
    other, _, _ = await answer(lab.inference, prompt, msgspec.structs.replace(sampling, seed=43))
    assert one == two != other
    assert finished.seed == 42


async def test_a_drawn_seed_is_told_and_repeats_the_answer(lab: Lab, demo_entry: ModelEntry) -> None:
    await lab.inference.load(demo_entry, SMALL)
    prompt = [ChatMessage("user", "Tell me something.")]
    free = SamplingSettings(temperature=1.5, max_tokens=24, ignore_eos=True, repeat_penalty=1.2)
    one, finished, _ = await answer(lab.inference, prompt, free)
    two, _, _ = await answer(lab.inference, prompt, msgspec.structs.replace(free, seed=finished.seed))
    assert one == two


async def test_generation_ends_when_the_context_is_full(lab: Lab, demo_entry: ModelEntry) -> None:
    loaded = await lab.inference.load(demo_entry, LoadSettings(context_tokens=256, threads=1))
    assert loaded.context_tokens == 256
    _, finished, _ = await answer(
        lab.inference, [], SamplingSettings(seed=1, ignore_eos=True), prompt="one two three " * 60
    )
    assert finished.reason == "context_full"
    assert finished.context_used == 256


async def test_a_prompt_longer_than_the_context_is_refused_with_both_figures(lab: Lab, demo_entry: ModelEntry) -> None:
    await lab.inference.load(demo_entry, LoadSettings(context_tokens=256, threads=1))
    with pytest.raises(EdgetuiError, match=r"prompt has \d+ tokens and the context 256") as caught:
        await answer(lab.inference, [], SamplingSettings(), prompt="one two three " * 200)
    assert caught.value.failure.kind == "context_overflow"
    _, finished, _ = await answer(lab.inference, [], SamplingSettings(max_tokens=2), prompt="short")
    assert finished.generated_tokens == 2


async def test_an_empty_prompt_is_refused(lab: Lab, demo_entry: ModelEntry) -> None:
    await lab.inference.load(demo_entry, SMALL)
    with pytest.raises(EdgetuiError, match="prompt is empty"):
        await answer(lab.inference, [], SamplingSettings(), prompt="")


async def test_a_long_prompt_reports_its_prefill(lab: Lab, demo_entry: ModelEntry) -> None:
    await lab.inference.load(demo_entry, LoadSettings(context_tokens=2048, batch_tokens=64, threads=1))
    _, finished, events = await answer(lab.inference, [], SamplingSettings(max_tokens=1), prompt="one two three " * 60)
    progress = [event.done_tokens for event in events if isinstance(event, PrefillProgress)]
    assert progress[-1] == finished.prompt_tokens and progress == sorted(progress) and len(progress) > 2


@pytest.mark.parametrize("kv_cache_type", KV_CACHE_TYPES)
async def test_every_kv_cache_type_runs(lab: Lab, demo_entry: ModelEntry, kv_cache_type: KvCacheType) -> None:
    loaded = await lab.inference.load(
        demo_entry, LoadSettings(context_tokens=512, kv_cache_type=kv_cache_type, threads=1)
    )
    assert loaded.kv_cache_type == kv_cache_type and loaded.kv_cache_bytes > 0
    text, _, _ = await answer(lab.inference, [], SamplingSettings(temperature=0, max_tokens=6), prompt="The sky is")
    assert text


async def test_a_context_larger_than_memory_is_refused_before_anything_is_taken(
    lab: Lab, demo_entry: ModelEntry
) -> None:
    with pytest.raises(EdgetuiError, match="take a smaller context") as caught:
        await lab.inference.load(demo_entry, LoadSettings(context_tokens=16_000_000))
    assert caught.value.failure.kind == "out_of_memory"
    assert lab.inference.loaded is None and lab.inference.worker_pid is None
    await lab.inference.load(demo_entry, SMALL)


async def test_generating_without_a_model_says_so(lab: Lab) -> None:
    with pytest.raises(EdgetuiError, match="No model is loaded"):
        await answer(lab.inference, [], SamplingSettings(), prompt="x")


async def test_a_row_with_a_problem_is_refused_with_its_sentence(lab: Lab, demo_entry: ModelEntry) -> None:
    with pytest.raises(EdgetuiError, match="cut short"):
        await lab.inference.load(msgspec.structs.replace(demo_entry, problem="The file is cut short."), SMALL)


async def test_a_missing_file_is_one_sentence(lab: Lab, demo_entry: ModelEntry) -> None:
    gone = msgspec.structs.replace(demo_entry, path=Path("/nowhere/model.gguf"))
    with pytest.raises(EdgetuiError) as caught:
        await lab.inference.load(gone, SMALL)
    assert "/nowhere/model.gguf" in str(caught.value)
    assert lab.inference.loaded is None


async def test_the_engine_tells_version_flags_and_types(lab: Lab) -> None:
    info = await lab.inference.engine_info()
    assert info.name == "llama.cpp" and info.version
    assert {"F16", "Q4_K_M", "Q8_0"} <= set(info.quant_types)
    assert info.devices


async def test_finished_events_are_recorded_when_asked_for(
    lab: Lab, demo_entry: ModelEntry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = tmp_path / "record.jsonl"
    monkeypatch.setenv("EDGETUI_RECORD", str(record))
    await lab.inference.load(demo_entry, SMALL)
    _, finished, _ = await answer(lab.inference, [], SamplingSettings(max_tokens=3), prompt="Once")
    assert msgspec.json.decode(record.read_bytes(), type=Finished) == finished
