"""What comes in a stream of completions, by the fields that are used; everything may be missing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgetui.engines.server.sse import Event


_MOST_COUNT = 10**9
"""Tokens: no context has more."""


class Usage(msgspec.Struct, frozen=True):
    """The server's own count of tokens; 0 where it tells none."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    """How many of the prompt were known already."""


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


class Chunk(msgspec.Struct, frozen=True):
    """One event; figures that are none are left out of it, since the text beside them is the answer all the same."""

    choices: tuple[Choice, ...] = ()
    usage: Usage | None = None
    timings: Timings | None = None
    prompt_progress: PromptProgress | None = None
    error: Any = None


class NoChunk(Exception):
    """An event whose data is no chunk."""


class _Told(msgspec.Struct, frozen=True):
    """A chunk as it comes, its figures not read yet."""

    choices: tuple[Choice, ...] | None = None
    usage: msgspec.Raw = msgspec.Raw()
    timings: msgspec.Raw = msgspec.Raw()
    prompt_progress: msgspec.Raw = msgspec.Raw()
    error: Any = None


_decoder = msgspec.json.Decoder(_Told)
_object_decoder = msgspec.json.Decoder(dict[str, Any])
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_ESCAPE = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<half>\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\."
)
"""Any escape of a JSON string; half a pair of surrogates, which is no character, by name."""


def read_chunk(event: Event) -> Chunk | None:
    """The chunk of an event, None for the mark of the end; raises `NoChunk`."""
    if event.data.strip() == b"[DONE]":
        return None
    if event.is_error:
        return Chunk(error=_decoded(msgspec.json.decode, event.data))
    told: _Told = _decoded(_decoder.decode, event.data)
    return Chunk(
        choices=told.choices or (),
        usage=_usage(_object(told.usage)),
        timings=_timings(_object(told.timings)),
        prompt_progress=_progress(_object(told.prompt_progress)),
        error=told.error,
    )


def _decoded(decode: Callable[[bytes], Any], data: bytes) -> Any:
    """What is said, U+FFFD in place of what is no character: models cut one in two between tokens."""
    try:
        return decode(data)
    except _UNREADABLE as first:
        text = _ESCAPE.sub(lambda found: "\\ufffd" if found["half"] else found[0], data.decode("utf-8", "replace"))
        try:
            return decode(text.encode())
        except _UNREADABLE:
            raise NoChunk(str(first)) from first


def _object(raw: msgspec.Raw) -> dict[str, Any] | None:
    try:
        return _object_decoder.decode(raw) if raw else None
    except _UNREADABLE:
        return None


def _usage(told: dict[str, Any] | None) -> Usage | None:
    if told is None:
        return None
    details = told.get("prompt_tokens_details")
    prompt = _count(told.get("prompt_tokens")) or 0
    cached = _count(details.get("cached_tokens")) if isinstance(details, dict) else None
    return Usage(prompt, _count(told.get("completion_tokens")) or 0, min(cached or 0, prompt))


def _timings(told: dict[str, Any] | None) -> Timings | None:
    """None unless all of them are times and counts: half of them would give a rate that was not measured."""
    if told is None:
        return None
    counts = [_count(told.get(name, 0)) for name in ("prompt_n", "predicted_n", "cache_n")]
    times = [_milliseconds(told.get(name, 0)) for name in ("prompt_ms", "predicted_ms")]
    if None in counts or None in times:
        return None
    prompt_n, predicted_n, cache_n = (count or 0 for count in counts)
    prompt_ms, predicted_ms = (time or 0.0 for time in times)
    return Timings(prompt_n, prompt_ms, predicted_n, predicted_ms, cache_n)


def _progress(told: dict[str, Any] | None) -> PromptProgress | None:
    if told is None:
        return None
    total, cache, processed = (_count(told.get(name, 0)) for name in ("total", "cache", "processed"))
    time_ms = _milliseconds(told.get("time_ms", 0))
    if total is None or cache is None or processed is None or time_ms is None or max(cache, processed) > total:
        return None
    return PromptProgress(total, cache, processed, time_ms)


def _count(value: Any) -> int | None:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_COUNT
    return value if is_count else None


def _milliseconds(value: Any) -> float | None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_number and 0 <= value <= _MOST_COUNT else None
