"""A conversation as text for others: Markdown to read, JSON with everything that is known of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from edgetui.core.units import format_duration, format_rate

if TYPE_CHECKING:
    from edgetui.core.conversations import Answer, Conversation


def as_markdown(conversation: Conversation) -> str:
    """The present path: a heading a message, under each answer its figures."""
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
                f"*{answer_line(turn.answer)}*",
                "",
            ]
    return "\n".join(lines)


def as_json(conversation: Conversation) -> str:
    """Every turn with its alternatives, settings and figures, indented."""
    return msgspec.json.format(msgspec.json.encode(conversation), indent=2).decode() + "\n"


def answer_line(answer: Answer) -> str:
    """`42 tokens, decode 101.3 tok/s, prefill 199.0 tok/s, TTFT 74 ms, seed 7, end`; what is not known is left out."""
    parts = []
    if answer.generated_tokens is not None:
        parts.append(f"{answer.generated_tokens} tokens")
    if answer.decode_tps is not None:
        parts.append(f"decode {format_rate(answer.decode_tps)}")
    if answer.prefill_tps is not None:
        parts.append(f"prefill {format_rate(answer.prefill_tps)}")
    if answer.ttft_s is not None:
        parts.append(f"TTFT {format_duration(answer.ttft_s)}")
    if answer.seed is not None:
        parts.append(f"seed {answer.seed}")
    return ", ".join([*parts, answer.failure or answer.reason])
