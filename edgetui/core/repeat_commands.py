"""Commands that repeat a run or a measured row elsewhere: edgetui, each engine's own tools, and a Python program.

What a tool cannot be told is said in the command's note, so that a different answer surprises nobody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from edgetui.core.models import ModelFormat
from edgetui.core.run_settings import ChatMessage, LoadSettings, SamplingSettings
from edgetui.core.servers import ServerEndpoint, address_parts
from edgetui.core.units import counted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edgetui.core.bench import BenchRow
    from edgetui.core.models import ModelEntry


REPETITIONS = 5
"""Where a row does not say how many it had: what both edgetui and llama-bench take."""


class RepeatCommand(msgspec.Struct, frozen=True, kw_only=True):
    """One way to repeat it."""

    tool: str
    """Whose command it is, such as `llama-cli`."""
    text: str
    """All of it, to paste into a POSIX shell or to keep as a Python file."""
    note: str = ""
    """What of the run it leaves out or needs besides, in sentences; empty when it is whole."""
    language: Literal["shell", "python"] = "shell"


class RunFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What decides an answer."""

    name: str
    """As edgetui lists the model."""
    path: str
    """The file handed to an engine; empty for a model on a server."""
    format: ModelFormat
    folder: str = ""
    """The folder that is the model; empty for one of single files."""
    repo: str = ""
    """Hub repository that it came from."""
    endpoint: ServerEndpoint | None = None
    load: LoadSettings = LoadSettings()
    sampling: SamplingSettings = SamplingSettings()
    """With the seed that was really drawn."""
    messages: tuple[ChatMessage, ...] = ()
    """The conversation up to the question, the system prompt first; empty for a raw prompt."""
    prompt: str | None = None
    """Raw text that was continued."""
    context_tokens: int = 0
    """What the engine really took; 0 where it is not known."""
    threads: int = 0
    """As above."""
    in_huge_pages: bool = False
    """Whether weights lay in huge pages."""
    reused_tokens: int = 0
    """Of the prompt, what was in the KV cache already when it was asked."""
    engine_version: str = ""
    """Of a server: which program it is, and its version."""
    usual_load: LoadSettings = LoadSettings()
    """What `edgetui run` takes on this machine without options, by the settings file."""
    usual_sampling: SamplingSettings = SamplingSettings()
    usual_system: str = ""

    @property
    def system(self) -> str:
        """The system prompt, empty for none."""
        return self.messages[0].content if self.messages and self.messages[0].role == "system" else ""

    @property
    def question(self) -> str:
        """What the answer is an answer to."""
        return self.prompt if self.prompt is not None else self.messages[-1].content if self.messages else ""

    @property
    def earlier_messages(self) -> int:
        """Messages between the system prompt and the question: only some tools can be given those."""
        return max(0, len(self.messages) - 1 - bool(self.system))

    @property
    def reuse_note(self) -> str:
        """Why a command, which computes the whole prompt, may give another text; empty where the run did so too."""
        if not self.reused_tokens or self.endpoint is not None:
            return ""
        return (
            f"{counted(self.reused_tokens, 'prompt token')} stood in the KV cache, computed in other batches:"
            " rounding, and with it a sampled text, may differ."
        )

    @property
    def where(self) -> str:
        """Path of the model as its engine names it: a file for llama.cpp, a folder for the others."""
        return self.path if self.format == "gguf" else self.folder or self.path.rpartition("/")[0] or "."


def facts_of(
    entry: ModelEntry,
    load: LoadSettings,
    sampling: SamplingSettings,
    *,
    messages: Sequence[ChatMessage] = (),
    prompt: str | None = None,
    seed: int | None = None,
    context_tokens: int = 0,
    threads: int = 0,
    engine_version: str = "",
    use_mmap: bool | None = None,
    in_huge_pages: bool = False,
    reused_tokens: int = 0,
    usual_load: LoadSettings | None = None,
    usual_sampling: SamplingSettings | None = None,
    usual_system: str = "",
) -> RunFacts:
    """Facts of a run of a model; `seed` is the one that was drawn, what follows it is of the load."""
    if seed is not None:
        sampling = msgspec.structs.replace(sampling, seed=seed)
    if use_mmap is not None:
        load = msgspec.structs.replace(load, use_mmap=use_mmap)
    return RunFacts(
        name=entry.name,
        path="" if entry.endpoint is not None else _absolute(entry.path),
        format=entry.format,
        folder="" if entry.folder is None else _absolute(entry.folder),
        repo=entry.repo or "",
        endpoint=_without_login(entry.endpoint),
        load=load,
        sampling=sampling,
        messages=tuple(messages),
        prompt=prompt,
        context_tokens=context_tokens or load.context_tokens or min(entry.context_length or 8192, 8192),
        threads=threads or load.threads,
        in_huge_pages=in_huge_pages,
        reused_tokens=reused_tokens,
        engine_version=engine_version,
        usual_load=usual_load or LoadSettings(),
        usual_sampling=usual_sampling or SamplingSettings(),
        usual_system=usual_system,
    )


def run_commands(facts: RunFacts) -> tuple[RepeatCommand, ...]:
    """Every way to repeat a run, edgetui's own first."""
    from edgetui.core.repeat_edgetui import edgetui_run

    found = [edgetui_run(facts)]
    if facts.format == "gguf":
        from edgetui.core.repeat_llama import llama_python, llama_run

        found += [llama_run(facts), llama_python(facts)]
    elif facts.format == "onnx":
        from edgetui.core.repeat_onnx import genai_python

        found.append(genai_python(facts))
    elif facts.format == "mlx":
        from edgetui.core.repeat_mlx import mlx_python, mlx_run

        found += [mlx_run(facts), mlx_python(facts)]
    elif facts.endpoint is not None and address_parts(facts.endpoint.url) is not None:
        from edgetui.core.repeat_server import server_curl, server_python

        found += [server_curl(facts), server_python(facts)]
    return tuple(command for command in found if command is not None)


def bench_commands(row: BenchRow) -> tuple[RepeatCommand, ...]:
    """Every way to repeat a measured row, edgetui's own first."""
    from edgetui.core.repeat_edgetui import edgetui_bench

    found = [edgetui_bench(row)]
    if row.engine == "llama.cpp":
        from edgetui.core.repeat_llama import llama_bench

        found.append(llama_bench(row))
    elif row.engine == "onnxruntime-genai":
        from edgetui.core.repeat_onnx import genai_bench

        found.append(genai_bench(row))
    elif row.engine == "mlx":
        from edgetui.core.repeat_mlx import mlx_bench

        found.append(mlx_bench(row))
    return tuple(found)


def as_text(commands: Sequence[RepeatCommand]) -> str:
    """All commands as a file to read: each under its tool's name, notes as comments."""
    parts = []
    for command in commands:
        notes = [f"# {line}" for line in command.note.splitlines()]
        parts.append("\n".join([f"# --- {command.tool}", *notes, command.text.rstrip("\n")]))
    return "\n\n".join(parts) + "\n"


def _without_login(endpoint: ServerEndpoint | None) -> ServerEndpoint | None:
    """What is kept and exported holds no password, not even out of an address that is none."""
    import re

    if endpoint is None:
        return None
    return msgspec.structs.replace(endpoint, url=re.sub("(?s)(?<=://).*@", "***@", endpoint.url, count=1))


def _absolute(path: Path) -> str:
    import os

    return os.path.abspath(path)
