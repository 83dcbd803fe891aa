"""Vulkan drivers that are installed, by the manifests that its loader reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from edgetui.core.hardware import Reading, VulkanDriver, known, unknown

if TYPE_CHECKING:
    from edgetui.meters.source import MachineSource

_FOLDERS = ("/etc/vulkan/icd.d", "/usr/local/share/vulkan/icd.d", "/usr/share/vulkan/icd.d")


def vulkan_drivers(source: MachineSource) -> Reading[tuple[VulkanDriver, ...]]:
    """Every manifest once; one that cannot be read is left out, as the loader does."""
    found: dict[str, VulkanDriver] = {}
    for folder in _FOLDERS:
        for name in source.names(folder):
            if not name.endswith(".json") or name in found:
                continue
            try:
                told: Any = msgspec.json.decode(source.read_bytes(f"{folder}/{name}"))["ICD"]
                library, version = str(told["library_path"]), str(told.get("api_version", ""))
            except (OSError, msgspec.DecodeError, KeyError, TypeError, AttributeError):
                continue
            found[name] = VulkanDriver(name=name.removesuffix(".json"), library=library, api_version=version)
    if not found:
        return unknown(f"none installed: looked at {', '.join(_FOLDERS)}")
    return known(tuple(found.values()))
