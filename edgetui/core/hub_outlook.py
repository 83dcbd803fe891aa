"""What the variants of a model on the hub would be on this machine, and which one to take."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from edgetui.core.fit import verdict_of
from edgetui.core.units import MISSING, format_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetui.core.fit import MemoryFit, SpeedForecast
    from edgetui.core.hardware import Reading
    from edgetui.core.hub import HubPage, HubVariant

_MOST_LOOKS = 24
"""Into so many variants unasked."""


class Look(NamedTuple):
    """What a look inside told."""

    summary: str
    memory: MemoryFit | None = None
    speed: Reading[SpeedForecast] | None = None


class Outlook:
    """The page as far as it is known, the memory that is free, and what looks inside told."""

    def __init__(self) -> None:
        self.page: HubPage | None = None
        self.available_bytes = 0
        """Free memory; 0 while it is not known."""
        self.looks: dict[str, Look] = {}
        """By the variant's name."""
        self.looking = ""
        """The variant that is being looked into."""

    @property
    def variants(self) -> Sequence[HubVariant]:
        """Of the page; none without one."""
        return self.page.variants if self.page else ()

    @property
    def best(self) -> HubVariant | None:
        """The largest variant whose file leaves room in memory; the smallest where none does."""
        variants = [each for each in self.variants if each.size_bytes and not each.missing]
        fitting = [each for each in variants if verdict_of(each.size_bytes or 0, self.available_bytes) == "fits"]
        quantized = [each for each in fitting if each.quant_type not in ("F32", "F16", "BF16")]
        return max(quantized or fitting, key=lambda each: each.size_bytes or 0, default=None) or (
            variants[0] if variants else None
        )

    def worth_a_look(self, best: HubVariant) -> list[HubVariant]:
        """GGUF variants of one file that may fit, the nearest in size first: some KiB of the way each."""
        variants = [
            each
            for each in self.variants
            if each.format == "gguf" and len(each.files) == 1 and (each.size_bytes or 0) <= self.available_bytes
        ]
        variants.sort(key=lambda each: abs((each.size_bytes or 0) - (best.size_bytes or 0)))
        return variants[:_MOST_LOOKS] if best.format == "gguf" and len(best.files) == 1 else []

    @property
    def advice(self) -> str:
        """What to take, once its header has been read."""
        page = self.page
        if page is not None and not page.variants:
            return "No files that edgetui knows as a model (GGUF, ONNX, safetensors, MLX)."
        best = self.best
        look = self.looks.get(best.name) if best else None
        if best is None or look is None or look.memory is None or look.speed is None:
            return ""
        memory, forecast = look.memory, look.speed.value
        rate = (
            f"~{forecast.decode_low_tps:.0f} to {forecast.decode_high_tps:.0f} tok/s here"
            if forecast
            else "speed unknown: c measures this machine in ten seconds"
            if look.speed.reason.startswith("this machine is not calibrated")
            else f"speed unknown: {look.speed.reason}"
        )
        size = format_bytes(best.size_bytes or 0)
        if memory.verdict in ("fits", "tight"):
            return f"take {best.quant_type or best.name}: {size}, {memory.verdict}, {rate}"
        return f"{best.quant_type or best.name} needs {format_bytes(memory.parts.total)}, more than is free now"

    def here(self, variant: HubVariant) -> tuple[str, str]:
        """Memory and rate: known after a look inside, else memory guessed from the size and from what is known."""
        look = self.looks.get(variant.name)
        if look is not None and look.memory is not None and look.speed is not None:
            memory, forecast = look.memory, look.speed.value
            rate = f"~{forecast.decode_low_tps:.0f} to {forecast.decode_high_tps:.0f}" if forecast else MISSING
            return f"{format_bytes(memory.parts.total)} {memory.verdict}", rate
        if variant.name == self.looking:
            return "reading...", MISSING
        if variant.size_bytes is None or not self.available_bytes:
            return MISSING, MISSING
        known = next((each.memory.parts for each in self.looks.values() if each.memory), None)
        beside = known.total - known.weights if known else 0
        total = variant.size_bytes + beside
        return f"~{format_bytes(total)} {verdict_of(total, self.available_bytes)}", MISSING
