"""Sampling presets: settings with a name, some for any model and some as a model's makers recommend them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from edgetui.core.run_settings import SamplingSettings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edgetui.core.models import ModelEntry

_SAMPLERS = (
    "temperature",
    "top_k",
    "top_p",
    "min_p",
    "repeat_penalty",
    "presence_penalty",
    "frequency_penalty",
)  # fmt: skip
"""What a preset decides; seed, limits and constraints are none of its business."""


class Preset(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"without": "except"}):
    """Samplers that go together; those not named are off."""

    name: str
    note: str
    temperature: float
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repeat_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    models: tuple[str, ...] = ()
    """Words of which one occurs in the names of models that it is for, in lower case; empty for any model."""
    without: tuple[str, ...] = ()
    """Words of which none may occur."""
    source: str = ""
    """Where the makers recommend it."""

    def suits(self, entry: ModelEntry | None) -> bool:
        """Whether it is for this model; those for any model suit no model too."""
        if not self.models:
            return True
        if entry is None:
            return False
        served = entry.endpoint.model if entry.endpoint is not None else ""
        name = " ".join(filter(None, (entry.name, entry.repo, served))).lower()
        return any(word in name for word in self.models) and not any(word in name for word in self.without)

    def applied_to(self, sampling: SamplingSettings) -> SamplingSettings:
        """The settings with these samplers."""
        return msgspec.structs.replace(sampling, **{name: getattr(self, name) for name in _SAMPLERS})

    @property
    def summary(self) -> str:
        """`T 0.6  top-k 20  top-p 0.95`; what is off is left out."""
        parts = [f"T {self.temperature:g}"]
        off = {"top_k": 0, "top_p": 1.0, "min_p": 0.0, "repeat_penalty": 1.0}
        for field, word in (("top_k", "top-k"), ("top_p", "top-p"), ("min_p", "min-p"), ("repeat_penalty", "repeat")):
            value = getattr(self, field)
            if value != off[field]:
                parts.append(f"{word} {value:g}")
        return "  ".join(parts)


def preset_of(sampling: SamplingSettings, presets: Iterable[Preset]) -> Preset | None:
    """The first of the presets that would change nothing."""
    return next((preset for preset in presets if preset.applied_to(sampling) == sampling), None)
