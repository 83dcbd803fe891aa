"""What decides the last answer of a conversation, so that it can be repeated elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetui.core.repeat_commands import facts_of
from edgetui.core.run_settings import ChatMessage

if TYPE_CHECKING:
    from edgetui.core.conversations import Answer, Conversation
    from edgetui.core.models import ModelEntry
    from edgetui.core.repeat_commands import RunFacts
    from edgetui.core.run_settings import LoadSettings, SamplingSettings


def last_answer(conversation: Conversation) -> Answer | None:
    """The last answer on the present path, which need not be of the model that was asked last."""
    place = _place_of_last_answer(conversation)
    return None if place is None else conversation.path[place].answer


def last_answer_facts(
    entry: ModelEntry,
    conversation: Conversation,
    usual_load: LoadSettings,
    usual_sampling: SamplingSettings,
    usual_system: str,
    threads: int = 0,
) -> RunFacts | None:
    """Facts of the last answer on the present path, by the model `entry`; None before there is one.

    `threads` is what the engine takes, for an answer that was kept without what it took.
    """
    path, place = conversation.path, _place_of_last_answer(conversation)
    if place is None:
        return None
    answer, before = path[place].answer, path[:place]
    assert answer is not None
    system = conversation.system_prompt
    messages = [ChatMessage("system", system)] if system else []
    messages += [ChatMessage(turn.role, turn.content) for turn in before]
    raw = conversation.is_raw
    return facts_of(
        entry,
        answer.load,
        answer.sampling,
        messages=() if raw else messages,
        prompt="".join(turn.content for turn in before) if raw else None,
        seed=answer.seed,
        context_tokens=answer.context_tokens or 0,
        threads=answer.threads or threads,
        engine_version=answer.engine_version,
        use_mmap=answer.use_mmap,
        in_huge_pages=answer.huge_page_bytes > 0,
        reused_tokens=answer.reused_tokens or 0,
        usual_load=usual_load,
        usual_sampling=usual_sampling,
        usual_system=usual_system,
    )


def _place_of_last_answer(conversation: Conversation) -> int | None:
    path = conversation.path
    return next((number for number in range(len(path) - 1, -1, -1) if path[number].answer is not None), None)
