"""Pieces of the Python programs that repeat a run: literals, calls of one argument a line, the finished program."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetui.core.repeat_commands import RepeatCommand

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgetui.core.repeat_commands import RunFacts


def literal(value: object) -> str:
    """A Python literal, in double quotes where it is a text that has none; what does not print is escaped."""
    if isinstance(value, str):
        text = repr(value)
        return f'"{text[1:-1]}"' if text[0] == "'" and '"' not in text and "\\'" not in text else text
    if isinstance(value, list):
        return "[" + ", ".join(literal(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{literal(key)}: {literal(item)}" for key, item in value.items()) + "}"
    return repr(value)


def call(function: str, arguments: Mapping[str, str]) -> str:
    """A call with one named argument a line; values are Python already."""
    return "\n".join([f"{function}(", *(f"    {name}={value}," for name, value in arguments.items()), ")"])


def message_list(facts: RunFacts, indent: str = "    ") -> str:
    """The conversation as a list of dicts, a message a line."""
    lines = [literal({"role": each.role, "content": each.content}) for each in facts.messages]
    return "\n".join(["[", *(f"{indent}    {line}," for line in lines), f"{indent}]"])


def program(tool: str, lines: Sequence[str], note: str) -> RepeatCommand:
    """A whole program of these lines."""
    return RepeatCommand(tool=tool, text="\n".join(lines) + "\n", note=note, language="python")
