"""A conversation as text for others: Markdown to read, JSON with everything that is known of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from edgetui.core.kept_figures import engine_text, figures_text, settings_text

if TYPE_CHECKING:
    from edgetui.core.conversations import Conversation


def as_markdown(conversation: Conversation) -> str:
    """The present path: a heading a message, under each answer its figures and what it was made with."""
    started = time.strftime("%Y-%m-%d %H:%M", time.localtime(conversation.started_at))
    lines = [f"# {conversation.model_name or 'Conversation'}, {started}", ""]
    if conversation.system_prompt:
        lines += ["## System", "", conversation.system_prompt.rstrip(), ""]
    for turn in conversation.path:
        if turn.answer is None:
            lines += ["## You", "", turn.content.rstrip(), ""]
        else:
            lines += [
                f"## {turn.answer.model_name}",
                "",
                turn.content.rstrip(),
                "",
                f"*{figures_text(turn.answer)}*",
                "",
                f"*{engine_text(turn.answer)}; settings: {settings_text(turn.answer)}*",
                "",
            ]
    return "\n".join(lines)


def as_json(conversation: Conversation) -> str:
    """Every turn with its alternatives, settings and figures, indented."""
    return msgspec.json.format(msgspec.json.encode(conversation), indent=2).decode() + "\n"
