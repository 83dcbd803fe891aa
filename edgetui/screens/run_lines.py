"""The line above a conversation, and the hint in an empty one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgetui.core.plain_text import plain_line

if TYPE_CHECKING:
    from edgetui.services.chat import Chat


def model_line(chat: Chat, state: str) -> str:
    """`NAME   llama.cpp  2 threads  ctx 8192  KV F16  LoRA x  profile fast  batch 512`, as far as each is so."""
    entry, loaded = chat.entry, chat.loaded
    if entry is None:
        return "No model: ctrl+o chooses one"
    name = plain_line(entry.name)
    if loaded is None:
        says = "loading, esc cancels" if state.startswith("loading") else "not loaded: a prompt loads it"
        return f"{name}   {says}{_rest(chat)}"
    parts = [loaded.engine]
    if loaded.threads:
        parts.append(f"{loaded.threads} thread{'s' if loaded.threads > 1 else ''}")
    if loaded.context_tokens:
        parts.append(f"ctx {loaded.context_tokens}")
    if loaded.kv_cache_type:
        values = chat.load_settings.kv_cache_type_v
        parts.append(f"KV {loaded.kv_cache_type.upper()}{f'/{values.upper()}' if values else ''}")
    if loaded.backend not in ("CPU", ""):
        parts.append(loaded.backend)
    # What a narrow terminal cuts off first comes last.
    last = "  huge pages" if loaded.huge_page_bytes else "  mmap" if loaded.use_mmap else ""
    if loaded.batch_tokens:
        last += f"  batch {loaded.batch_tokens}"
    return f"{name}   {'  '.join(plain_line(part) for part in parts)}{_rest(chat)}{last}"


def hint_of(chat: Chat) -> str:
    """What to do in a conversation in which nothing was said."""
    if chat.entry is None:
        return (
            "Press ctrl+o to choose a model, or enter on one in Models (f2).\n\nThen write below and press enter."
            " ctrl+g finds what was said before."
        )
    what = "Write below and press enter"
    if chat.is_raw:
        what = "Write the beginning of a text below and press enter: the model continues it, without chat template"
    if chat.loaded is None:
        return f"{what}: the model is loaded first."
    return f"{what}.  ctrl+s has the settings, alt+p prompts to try, pgup and pgdn scroll."


def _rest(chat: Chat) -> str:
    settings = chat.load_settings
    parts = [f"LoRA {Path(adapter.path).stem}" for adapter in settings.adapters]
    if settings.draft_model:
        parts.append(f"draft {Path(settings.draft_model).stem}")
    elif settings.prompt_lookup:
        parts.append("prompt lookup")
    if chat.profile:
        parts.append(f"profile {chat.profile}")
    if chat.is_raw:
        parts.append("raw text")
    return "".join(f"  {plain_line(part)}" for part in parts)
