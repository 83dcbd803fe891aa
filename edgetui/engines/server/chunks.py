"""What comes in a stream of completions, by the fields that are used; everything may be missing."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from edgetui.engines.server.sse import Event


class Usage(msgspec.Struct, frozen=True):
    """The server's own count of tokens."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    prompt_tokens_details: PromptDetails | None = None

    @property
    def cached_tokens(self) -> int:
        """How many of the prompt were known already."""
        return (self.prompt_tokens_details.cached_tokens or 0) if self.prompt_tokens_details else 0


class PromptDetails(msgspec.Struct, frozen=True):
    """Part of `Usage`."""

    cached_tokens: int | None = None


class Timings(msgspec.Struct, frozen=True):
    """llama-server's own times of a request so far."""

    prompt_n: int = 0
    """Prompt tokens computed."""
    prompt_ms: float = 0.0
    predicted_n: int = 0
    predicted_ms: float = 0.0
    """Since the first one."""
    cache_n: int = 0
    """Prompt tokens that were in its cache."""


class PromptProgress(msgspec.Struct, frozen=True):
    """How far llama-server is with a prompt."""

    total: int = 0
    cache: int = 0
    processed: int = 0
    """The cached ones among them."""
    time_ms: float = 0.0


class Delta(msgspec.Struct, frozen=True):
    """What a chat says next."""

    content: str | None = None
    reasoning_content: str | None = None
    """Thoughts, as llama-server and vLLM name them."""
    reasoning: str | None = None
    """The same, as Ollama and newer vLLM name them."""


class Choice(msgspec.Struct, frozen=True):
    """The one answer that was asked for."""

    delta: Delta | None = None
    text: str | None = None
    """Of a completion without a chat."""
    finish_reason: str | None = None
    stop_reason: int | str | None = None
    """vLLM's: the stop sequence."""


class Chunk(msgspec.Struct, frozen=True):
    """One event."""

    choices: tuple[Choice, ...] = ()
    usage: Usage | None = None
    timings: Timings | None = None
    prompt_progress: PromptProgress | None = None
    error: Any = None


class NoChunk(Exception):
    """An event whose data is no chunk."""


_decoder = msgspec.json.Decoder(Chunk)


def read_chunk(event: Event) -> Chunk | None:
    """The chunk of an event, None for the mark of the end; raises `NoChunk`."""
    if event.data.strip() == b"[DONE]":
        return None
    try:
        if event.is_error:
            return Chunk(error=msgspec.json.decode(event.data))
        chunk = _decoder.decode(event.data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NoChunk(str(error)) from error
    if (usage := chunk.usage) is not None and min(usage.prompt_tokens, usage.completion_tokens) < 0:
        raise NoChunk("it counts fewer than no tokens")
    if (times := chunk.timings) is not None and not (
        math.isfinite(times.prompt_ms + times.predicted_ms)
        and min(times.prompt_ms, times.predicted_ms, times.prompt_n, times.predicted_n, times.cache_n) >= 0
    ):
        raise NoChunk("its times are none")
    return chunk
