"""Whether a model fits into this machine's memory, and with which changes it would."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

import msgspec

from edgetui.core.fit import FitChange, MemoryFit, verdict_of
from edgetui.core.quant_types import is_quantized
from edgetui.worker.protocol import EstimateMemory, MemoryEstimated
from edgetui.worker.session import session_worker

if TYPE_CHECKING:
    from edgetui.config import Paths
    from edgetui.core.fit import MemoryParts
    from edgetui.core.models import ModelEntry
    from edgetui.core.run_settings import KvCacheType, LoadSettings
    from edgetui.services.quantizer import Quantizer

LEAST_CONTEXT_TOKENS = 512
"""Below that there is no room for a conversation."""
_SMALLER_CACHES: tuple[KvCacheType, ...] = ("q8_0", "q4_0")
_SMALLER_TYPES = ("Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q3_K_M", "Q2_K")
"""From the most to the least faithful."""


class Fit:
    """Asks llama.cpp what a load would allocate, before anything is."""

    def __init__(self, paths: Paths, quantizer: Quantizer) -> None:
        self._paths = paths
        self._quantizer = quantizer

    async def memory(self, entry: ModelEntry, settings: LoadSettings) -> MemoryFit:
        """Memory of a worker that holds this model with these settings, predicted by a simulated load.

        Raises `EdgetuiError`: `bad_file`, `unsupported`, `not_found`, `crashed`.
        """
        asked = await self._estimate(entry, (settings,))
        parts = asked.parts[0]
        assert parts is not None
        fit = MemoryFit(
            verdict=verdict_of(parts.total, asked.available_bytes),
            parts=parts,
            available_bytes=asked.available_bytes,
            context_tokens=asked.context_tokens,
            kv_cache_type=settings.kv_cache_type,
            trained_context_tokens=entry.context_length or 0,
        )
        if fit.verdict != "does not fit":
            return fit
        changes = await self._changes(entry, settings, fit)
        return msgspec.structs.replace(fit, verdict="with changes" if changes else "does not fit", changes=changes)

    async def _changes(self, entry: ModelEntry, settings: LoadSettings, fit: MemoryFit) -> tuple[FitChange, ...]:
        """The mildest change of each kind with which it fits."""
        contexts = _halves(fit.context_tokens)
        caches = [kind for kind in _SMALLER_CACHES if kind != settings.kv_cache_type]
        variants = [
            *(msgspec.structs.replace(settings, context_tokens=tokens) for tokens in contexts),
            *(msgspec.structs.replace(settings, kv_cache_type=kind) for kind in caches),
        ]
        estimated = (await self._estimate(entry, (settings, *variants))).parts[1:]
        words = [
            *(f"a context of {tokens} tokens" for tokens in contexts),
            *(f"a {kind} KV cache" for kind in caches),
        ]
        found = list(zip(words, estimated, strict=True))
        limit = fit.available_bytes
        changes = [_mildest(found[: len(contexts)], limit), _mildest(found[len(contexts) :], limit)]
        if entry.quant_type is not None and not is_quantized(entry.quant_type):
            changes.append(await self._smaller_type(entry, fit))
        return tuple(change for change in changes if change is not None)

    async def _smaller_type(self, entry: ModelEntry, fit: MemoryFit) -> FitChange | None:
        """The most faithful quantization that fits, by the size of its file."""
        others = fit.parts.total - fit.parts.weights
        async with aclosing(self._quantizer.plan(entry, _SMALLER_TYPES)) as plans:
            sizes = {plan.type_name: plan.size_bytes async for plan in plans if not plan.needs_imatrix}
        for name in _SMALLER_TYPES:
            size = sizes.get(name)
            if size is not None and size + others <= fit.available_bytes:
                return FitChange(f"quantized to {name}", size + others)
        return None

    async def _estimate(self, entry: ModelEntry, settings: tuple[LoadSettings, ...]) -> MemoryEstimated:
        command = EstimateMemory(path=str(entry.path), settings=settings)
        async with (
            session_worker(self._paths.log_dir) as worker,
            aclosing(worker.request(command)) as events,
        ):
            async for event in events:
                if isinstance(event, MemoryEstimated):
                    return event
        raise AssertionError("a request ends with its answer or raises")


def _halves(context_tokens: int) -> list[int]:
    found = []
    while (context_tokens := context_tokens // 2) >= LEAST_CONTEXT_TOKENS:
        found.append(context_tokens)
    return found


def _mildest(found: list[tuple[str, MemoryParts | None]], limit_bytes: int) -> FitChange | None:
    for words, parts in found:
        if parts is not None and parts.total <= limit_bytes:
            return FitChange(words, parts.total)
    return None
