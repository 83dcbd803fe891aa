"""The sampling presets that edgetui knows, read from `edgetui/data/presets.toml`."""

from __future__ import annotations

import difflib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from edgetui.core.failures import EdgetuiError
from edgetui.core.presets import Preset

if TYPE_CHECKING:
    from edgetui.core.models import ModelEntry


@cache
def read_presets() -> tuple[Preset, ...]:
    """Every preset, in the order of the file."""
    import msgspec
    import tomlkit

    text = (files("edgetui") / "data" / "presets.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomlkit.parse(text).unwrap()["preset"], tuple[Preset, ...])


def presets_for(entry: ModelEntry | None) -> list[Preset]:
    """Those for a model, its makers' first."""
    found = [preset for preset in read_presets() if preset.suits(entry)]
    return sorted(found, key=lambda preset: not preset.models)


def preset_named(name: str) -> Preset:
    """One by its name, whatever its case; raises `not_found`, naming the closest."""
    by_name = {preset.name.lower(): preset for preset in read_presets()}
    if name.lower() in by_name:
        return by_name[name.lower()]
    close = difflib.get_close_matches(name.lower(), by_name, n=1)
    advice = f"did you mean {by_name[close[0]].name!r}?" if close else f"there are {', '.join(by_name)}."
    raise EdgetuiError("not_found", f"There is no preset {name!r}; {advice}")
