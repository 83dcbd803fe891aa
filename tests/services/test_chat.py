"""A conversation over a model that may be lost under it."""

from __future__ import annotations

import os
import signal
from contextlib import aclosing
from typing import TYPE_CHECKING

import msgspec
import psutil
import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.core.repeat_conversation import last_answer_facts
from edgetui.core.run_settings import LoadSettings, SamplingSettings
from edgetui.services.chat import Chat
from edgetui.worker.protocol import Finished, PromptReady, Tokens

if TYPE_CHECKING:
    from edgetui.core.models import ModelEntry
    from edgetui.services.lab import Lab
    from edgetui.worker.protocol import SessionEvent

LOAD = LoadSettings(context_tokens=512, threads=1)


@pytest.fixture
async def chat(lab: Lab, demo_entry: ModelEntry) -> Chat:
    """A conversation with the loaded demo model, in short answers."""
    made = Chat(lab.inference, LOAD, SamplingSettings(seed=11, max_tokens=6, ignore_eos=True))
    made.entry = demo_entry
    await made.load()
    return made


async def ask(chat: Chat, text: str) -> list[SessionEvent]:
    async with aclosing(chat.ask(text)) as events:
        return [event async for event in events]


async def test_a_conversation_grows_by_what_was_said_and_answered(chat: Chat) -> None:
    events = await ask(chat, "Name a colour.")
    text = "".join(event.text for event in events if isinstance(event, Tokens))
    assert [(message.role, message.content) for message in chat.messages] == [
        ("user", "Name a colour."),
        ("assistant", text),
    ]
    events = await ask(chat, "Another.")
    ready = next(event for event in events if isinstance(event, PromptReady))
    assert len(chat.messages) == 4 and ready.reused_tokens > 0
    assert chat.entry is not None
    facts = last_answer_facts(chat.entry, chat.conversation, LOAD, SamplingSettings(), "")
    assert facts is not None and facts.reused_tokens == ready.reused_tokens
    chat.clear()
    assert chat.messages == []


async def test_an_answer_that_was_left_early_stays_as_far_as_it_came(chat: Chat) -> None:
    chat.sampling = msgspec.structs.replace(chat.sampling, max_tokens=0)
    text = ""
    async with aclosing(chat.ask("Tell a story.")) as events:
        async for event in events:
            if isinstance(event, Tokens):
                text += event.text
                if text:
                    break
    assert [message.content for message in chat.messages] == ["Tell a story.", text]


async def test_a_crash_keeps_the_words_and_the_next_turn_works_after_a_load(lab: Lab, chat: Chat) -> None:
    chat.sampling = msgspec.structs.replace(chat.sampling, max_tokens=0)
    with pytest.raises(EdgetuiError) as caught:
        async with aclosing(chat.ask("Tell a story.")) as events:
            async for event in events:
                if isinstance(event, Tokens) and event.text and lab.inference.worker_pid is not None:
                    os.kill(lab.inference.worker_pid, signal.SIGKILL)
    assert caught.value.failure.kind == "crashed"
    assert chat.loaded is None
    assert len(chat.messages) == 2 and chat.messages[1].content
    chat.sampling = msgspec.structs.replace(chat.sampling, max_tokens=3)
    await chat.load()
    assert isinstance((await ask(chat, "Go on."))[-1], Finished)
    assert len(chat.messages) == 4


async def test_a_worker_that_died_between_two_turns_is_replaced(lab: Lab, chat: Chat) -> None:
    await ask(chat, "Hello.")
    pid = lab.inference.worker_pid
    assert pid is not None
    process = psutil.Process(pid)
    process.kill()
    psutil.wait_procs([process], timeout=20)
    await chat.load()
    assert lab.inference.worker_pid != pid
    await ask(chat, "And again.")
    assert len(chat.messages) == 4


async def test_a_turn_that_cannot_be_answered_leaves_no_trace(chat: Chat) -> None:
    await ask(chat, "Hello.")
    with pytest.raises(EdgetuiError, match="context"):
        await ask(chat, "one two three " * 400)
    assert [message.content for message in chat.messages if message.role == "user"] == ["Hello."]


async def test_the_system_prompt_stands_before_the_first_message(chat: Chat) -> None:
    bare = next(event for event in await ask(chat, "Hello.") if isinstance(event, PromptReady))
    chat.clear()
    chat.system_prompt = "Answer in the manner of an old sailor, at length, and never in fewer than three sentences."
    told = next(event for event in await ask(chat, "Hello.") if isinstance(event, PromptReady))
    assert told.prompt_tokens != bare.prompt_tokens
    assert all(message.role != "system" for message in chat.messages)


async def test_a_model_loaded_with_other_settings_is_not_the_one_wanted(lab: Lab, chat: Chat) -> None:
    pid = lab.inference.worker_pid
    await chat.load()
    assert lab.inference.worker_pid == pid
    chat.load_settings = LoadSettings(context_tokens=256, threads=1)
    assert chat.loaded is None
    assert (await chat.load()).context_tokens == 256


async def test_without_a_model_loading_says_what_to_do(lab: Lab) -> None:
    with pytest.raises(EdgetuiError, match="ctrl\\+o"):
        await Chat(lab.inference).load()


@pytest.fixture
async def kept(lab: Lab, demo_entry: ModelEntry) -> Chat:
    """The same, with what is said kept."""
    made = Chat(lab.inference, LOAD, SamplingSettings(seed=11, max_tokens=6, ignore_eos=True), "", lab.conversations)
    made.entry = demo_entry
    await made.load()
    return made


async def test_what_was_said_is_kept_with_its_figures_and_can_be_gone_on_with(lab: Lab, kept: Chat) -> None:
    events = await ask(kept, "Name a colour.")
    finished = events[-1]
    assert isinstance(finished, Finished)
    found = await lab.conversations.get(kept.conversation.id)
    assert found == kept.conversation
    question, answer = found.path
    assert question.content == "Name a colour." and answer.content == kept.messages[1].content
    figures = answer.answer
    assert figures is not None and figures.load == LOAD and figures.sampling == kept.sampling
    assert (figures.seed, figures.reason, figures.generated_tokens) == (11, "max_tokens", 6)
    assert (figures.ttft_s, figures.decode_s, figures.prefill_s) == (
        finished.ttft_s,
        finished.decode_s,
        finished.prefill_s,
    )
    assert figures.engine == "llama.cpp" and figures.engine_version
    kept.clear()
    assert kept.messages == [] and kept.conversation.id != found.id
    kept.resume(found)
    await ask(kept, "Another.")
    turns = (await lab.conversations.get(found.id)).turns
    assert [turn.parent for turn in turns] == [0, *(turn.number for turn in turns[:-1])]
    assert turns[:2] == found.turns


async def test_a_failed_turn_is_not_kept(lab: Lab, kept: Chat) -> None:
    with pytest.raises(EdgetuiError, match="context"):
        await ask(kept, "one two three " * 400)
    assert await lab.conversations.find() == []
    await ask(kept, "Hello.")
    with pytest.raises(EdgetuiError, match="context"):
        await ask(kept, "one two three " * 400)
    assert await lab.conversations.get(kept.conversation.id) == kept.conversation
    assert len(kept.messages) == 2


async def test_an_answer_made_anew_leaves_the_one_before_as_an_alternative(lab: Lab, kept: Chat) -> None:
    kept.sampling = msgspec.structs.replace(kept.sampling, max_tokens=12, temperature=1.5)
    await ask(kept, "Tell a story.")
    first = kept.conversation.path[-1]
    async with aclosing(kept.regenerate()) as events:
        async for _event in events:
            pass
    second = kept.conversation.path[-1]
    assert second.parent == first.parent and second.number != first.number
    assert first.answer is not None and second.answer is not None and second.answer.seed != first.answer.seed
    assert kept.conversation.alternatives(second.number) == [first.number, second.number]
    kept.choose(first.number)
    assert [message.content for message in kept.messages] == ["Tell a story.", first.content]
    assert (await lab.conversations.get(kept.conversation.id)).leaf == first.number


async def test_an_earlier_message_said_anew_goes_on_from_before_it(lab: Lab, kept: Chat) -> None:
    await ask(kept, "Name a colour.")
    await ask(kept, "Another.")
    first = kept.conversation.path[0]
    async with aclosing(kept.ask("Name an animal.", instead_of=first.number)) as events:
        async for _event in events:
            pass
    assert [turn.content for turn in kept.conversation.path if turn.role == "user"] == ["Name an animal."]
    assert len(kept.conversation.turns) == 6
    kept.choose(first.number)
    assert [turn.content for turn in kept.conversation.path if turn.role == "user"] == ["Name a colour.", "Another."]
    assert await lab.conversations.get(kept.conversation.id) == kept.conversation


async def test_before_anything_was_said_there_is_no_answer_to_make_anew(kept: Chat) -> None:
    with pytest.raises(EdgetuiError, match="say something"):
        async with aclosing(kept.regenerate()) as events:
            async for _event in events:
                pass


async def test_raw_text_is_continued_without_a_template(kept: Chat) -> None:
    kept.clear(is_raw=True)
    events = await ask(kept, "Once upon a time")
    ready = next(event for event in events if isinstance(event, PromptReady))
    # The template alone would be more.
    assert ready.prompt_tokens <= 6
    written = kept.messages[1].content
    events = await ask(kept, " and then")
    ready = next(event for event in events if isinstance(event, PromptReady))
    assert ready.prompt_tokens >= 12 and ready.reused_tokens >= 8
    assert [message.content for message in kept.messages][:3] == ["Once upon a time", written, " and then"]


async def test_a_killed_worker_leaves_its_sentence_with_the_answer(lab: Lab, kept: Chat) -> None:
    kept.sampling = msgspec.structs.replace(kept.sampling, max_tokens=0)
    with pytest.raises(EdgetuiError):
        async with aclosing(kept.ask("Tell a story.")) as events:
            async for event in events:
                if isinstance(event, Tokens) and event.text and lab.inference.worker_pid is not None:
                    os.kill(lab.inference.worker_pid, signal.SIGKILL)
    turn = (await lab.conversations.get(kept.conversation.id)).path[-1]
    assert turn.content and turn.answer is not None
    assert turn.answer.reason == "failed" and "SIGKILL" in turn.answer.failure
    # What was seen of it is known, though its worker did not live to say it.
    assert turn.answer.prompt_tokens and turn.answer.generated_tokens and turn.answer.ttft_s
