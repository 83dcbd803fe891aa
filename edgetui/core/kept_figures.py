"""The figures that are kept with an answer, as the panel beside the conversation and a line of text show them."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING

from edgetui.core.power_text import format_joules_per_token
from edgetui.core.reading import known, unknown
from edgetui.core.run_figures import KeptWith, RunFigures
from edgetui.core.run_settings import Adapter, LoadSettings, SamplingSettings
from edgetui.core.units import counted, format_bytes, format_duration, format_rate

if TYPE_CHECKING:
    from edgetui.core.conversations import Answer

_LONGEST_VALUE = 40
"""Characters of a setting, such as a grammar, that are shown in full."""


def figures_of(answer: Answer, place: str, state: str) -> RunFigures:
    """What the panel shows of an answer of another time; `place` is such as `2 of 5`."""
    joules = answer.joules_per_token
    return RunFigures(
        state=state,
        decode_tps=answer.decode_tps,
        mean_tps=answer.decode_tps,
        itl_p50_s=answer.itl_p50_s,
        itl_p95_s=answer.itl_p95_s,
        itl_p99_s=answer.itl_p99_s,
        prefill_tps=answer.prefill_tps,
        ttft_s=answer.ttft_s,
        network_s=answer.network_s,
        tokens=answer.generated_tokens,
        context_used=answer.context_used,
        context_tokens=answer.context_tokens or None,
        reused_tokens=answer.reused_tokens,
        prompt_tokens=answer.prompt_tokens,
        kv_cache_bytes=answer.kv_cache_bytes,
        resident_bytes=answer.resident_bytes,
        joules_per_token=known(joules) if joules is not None else unknown("no meter told it while this answer came"),
        draft_tokens=answer.draft_tokens,
        accepted_tokens=answer.accepted_tokens,
        kept=KeptWith(place, answer.model_name, engine_text(answer), settings_text(answer)),
    )


def figures_text(answer: Answer) -> str:
    """`42 tokens, decode 101.3 tok/s, prefill 199.0 tok/s, TTFT 74 ms, ...`; what is not known is left out."""
    parts = []
    if answer.generated_tokens is not None:
        parts.append(f"{answer.generated_tokens} tokens")
    if answer.decode_tps is not None:
        parts.append(f"decode {format_rate(answer.decode_tps)}")
    if answer.prefill_tps is not None:
        parts.append(f"prefill {format_rate(answer.prefill_tps)}")
    if answer.ttft_s is not None:
        parts.append(f"TTFT {format_duration(answer.ttft_s)}")
    latencies = (answer.itl_p50_s, answer.itl_p95_s, answer.itl_p99_s)
    if None not in latencies:
        parts.append(f"ITL p50/p95/p99 {' / '.join(format_duration(value) for value in latencies)}")
    if answer.resident_bytes is not None:
        parts.append(f"memory {format_bytes(answer.resident_bytes)}")
    if answer.joules_per_token is not None:
        parts.append(format_joules_per_token(answer.joules_per_token))
    if answer.seed is not None:
        parts.append(f"seed {answer.seed}")
    return ", ".join([*parts, answer.failure or answer.reason])


def engine_text(answer: Answer) -> str:
    """`llama.cpp 0.3.16, CPU, 2 threads`, as far as it is known."""
    parts = [f"{answer.engine} {answer.engine_version}".strip(), answer.backend]
    if answer.threads:
        parts.append(counted(answer.threads, "thread"))
    if answer.huge_page_bytes:
        parts.append(f"{format_bytes(answer.huge_page_bytes)} in huge pages")
    elif answer.use_mmap is not None:
        parts.append("file mapped" if answer.use_mmap else "file read into memory")
    return ", ".join(part for part in parts if part)


def settings_text(answer: Answer) -> str:
    """`batch-tokens 64, temperature 0`: the settings that are not the usual ones, after the profile's name."""
    parts = [f"profile {answer.profile}"] if answer.profile else []
    for settings, usual in ((answer.load, LoadSettings()), (answer.sampling, SamplingSettings())):
        for field in settings.__struct_fields__:
            value = getattr(settings, field)
            # The seed that was drawn or given is a figure of its own.
            if field != "seed" and value != getattr(usual, field):
                parts.append(f"{field.replace('_', '-')} {_value_text(value)}")
    return ", ".join(parts) or "the usual ones"


def _value_text(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        parts = [PurePath(part.path).stem if isinstance(part, Adapter) else repr(part) for part in value]
        return _short("+".join(parts))
    return _short(" ".join(str(value).split()))


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 3]}..."
