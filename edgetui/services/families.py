"""The model families that edgetui knows, read from `edgetui/data/families.toml`."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from edgetui.core.families import Family


@cache
def read_families() -> tuple[Family, ...]:
    """Every family with its members, in the order of the file."""
    import msgspec
    import tomlkit

    text = (files("edgetui") / "data" / "families.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomlkit.parse(text).unwrap()["family"], tuple[Family, ...])
