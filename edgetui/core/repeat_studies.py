"""Commands that repeat a measurement of several parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetui.core.repeat_commands import RepeatCommand
from edgetui.core.server_load import ServerLoadResult
from edgetui.core.shell_words import shell_command

if TYPE_CHECKING:
    from edgetui.core.studies import StudyResult


def study_commands(result: StudyResult) -> tuple[RepeatCommand, ...]:
    """Every way to repeat it; empty for a kind of study that no command repeats."""
    return (server_load_command(result),) if isinstance(result, ServerLoadResult) else ()


def server_load_command(result: ServerLoadResult) -> RepeatCommand:
    """`edgetui server bench` with the same levels."""
    endpoint, asked = result.endpoint, result.settings
    name = f"{endpoint.name}/{endpoint.model}" if endpoint.model else endpoint.name
    options = ["--concurrency", ",".join(map(str, asked.concurrency)), "-p", str(asked.prompt_tokens)]
    options += ["-n", str(asked.generated_tokens), "-r", str(asked.requests)]
    # A name that begins with a dash is none of the options.
    words = ["edgetui", "server", "bench", *options, *(["--"] if name.startswith("-") else []), name]
    notes = ["The server must be known there by this name: edgetui server add."]
    if not endpoint.model:
        notes.append(f"It measures the first model that the server lists, which was {result.model}.")
    return RepeatCommand(tool="edgetui", text=shell_command(words), note=" ".join(notes))
