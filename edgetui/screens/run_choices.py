"""What Run lets a person choose from lists: a preset, a prompt, an earlier message, an alternative."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgetui.core.presets import preset_of
from edgetui.core.units import format_bytes
from edgetui.screens.choice_picker import Choice, ChoicePicker
from edgetui.services.presets import presets_for
from edgetui.services.task_prompts import read_tasks

if TYPE_CHECKING:
    from textual.app import App

    from edgetui.core.conversations import Conversation, Turn
    from edgetui.core.models import ModelEntry
    from edgetui.core.run_settings import SamplingSettings


async def choose_preset(app: App[Any], entry: ModelEntry | None, sampling: SamplingSettings) -> SamplingSettings | None:
    """The settings with a preset's samplers; None when none was chosen."""
    presets = presets_for(entry)
    choices = [
        Choice(
            f"{preset.name:<24}{preset.summary}",
            f"{preset.note}{f' ({preset.source})' if preset.source else ''}",
        )
        for preset in presets
    ]
    present = preset_of(sampling, presets)
    marked = presets.index(present) if present is not None else 0
    chosen = await app.push_screen_wait(ChoicePicker("Sampling preset", choices, marked))
    return None if chosen is None else presets[chosen].applied_to(sampling)


async def choose_prompt(app: App[Any]) -> str | None:
    """A prompt by task."""
    prompts = [(task, text) for task in read_tasks() for text in task.texts]
    choices = []
    for task, text in prompts:
        size = format_bytes(len(task.prompt(text.content).encode()))
        choices.append(Choice(f"{task.name:<14}{text.title} ({size})", task.prompt(text.content)))
    chosen = await app.push_screen_wait(ChoicePicker("Prompts by task", choices))
    if chosen is None:
        return None
    task, text = prompts[chosen]
    return task.prompt(text.content)


async def choose_message(app: App[Any], conversation: Conversation) -> Turn | None:
    """One of the person's own messages on the present path, the last one first."""
    turns = [turn for turn in reversed(conversation.path) if turn.role == "user"]
    choices = [Choice(_beginning(turn), turn.content) for turn in turns]
    chosen = await app.push_screen_wait(ChoicePicker("Edit and go on from there", choices))
    return None if chosen is None else turns[chosen]


async def choose_alternative(app: App[Any], conversation: Conversation) -> int | None:
    """The number of a turn that stands beside one of the present path."""
    numbers: list[int] = []
    choices: list[Choice] = []
    present = 0
    for turn in conversation.path:
        others = conversation.alternatives(turn.number)
        if len(others) < 2:
            continue
        for place, number in enumerate(others, start=1):
            other = conversation.turn(number)
            who = "you" if other.role == "user" else "answer"
            mark = " "
            if number == turn.number:
                mark, present = "*", len(choices)
            choices.append(Choice(f"{mark} {who} {place} of {len(others)}  {_beginning(other)}", other.content))
            numbers.append(number)
    if not choices:
        return None
    chosen = await app.push_screen_wait(ChoicePicker("Alternatives (* is what stands there now)", choices, present))
    return None if chosen is None else numbers[chosen]


def _beginning(turn: Turn) -> str:
    return " ".join(turn.content[:200].split())
