"""A memory fit in words: lines of label and text, for the screen and the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetui.core.units import format_bytes

if TYPE_CHECKING:
    from edgetui.core.fit import MemoryFit


def fit_facts(fit: MemoryFit) -> list[tuple[str, str]]:
    """Verdict, total and parts; `~` marks what is predicted."""
    parts = fit.parts
    room = f"{format_bytes(fit.available_bytes)} available now"
    weights = [
        f"~{format_bytes(size)}{where}"
        for size, where in (
            (parts.weights_mapped, ""),
            (parts.weights_read, " in own memory"),
            (parts.weights_copied, " rearranged for this CPU"),
        )
        if size
    ]
    facts = [
        ("FIT", f"{fit.verdict}: ~{format_bytes(parts.total)} predicted, {room}"),
        ("weights", " + ".join(weights)),
        ("KV cache", f"~{format_bytes(parts.kv_cache)} for {fit.context_tokens} tokens in {fit.kv_cache_type.upper()}"),
        ("buffers", f"~{format_bytes(parts.compute + parts.output)}"),
        ("process", f"~{format_bytes(parts.runtime)} with vocabulary"),
    ]
    if 0 < fit.trained_context_tokens < fit.context_tokens:
        text = f"{fit.context_tokens} tokens, trained for {fit.trained_context_tokens}: beyond that answers degrade"
        facts.append(("context", text))
    facts += [("fits with", f"{change.what}: ~{format_bytes(change.total_bytes)}") for change in fit.changes]
    return facts
