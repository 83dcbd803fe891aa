"""A figure that can be missing, with the reason."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import msgspec

T = TypeVar("T")


class Reading(msgspec.Struct, Generic[T], frozen=True):
    """A figure, or why there is none; never a made-up value."""

    value: T | None
    reason: str = ""
    """Why `value` is None, in a few words; empty when there is one."""


def known(value: T) -> Reading[T]:
    """A figure that was read."""
    return Reading(value)


def unknown(reason: str) -> Reading[Any]:
    """A figure that could not be read."""
    return Reading(None, reason)


def flatten_readings(value: Any) -> tuple[Any, dict[str, str]]:
    """Builtins for JSON: a reading becomes its value or None, and the reasons stand apart under dotted paths."""
    reasons: dict[str, str] = {}

    def flatten(node: Any, path: str) -> Any:
        if isinstance(node, Reading):
            if node.value is None:
                reasons[path] = node.reason
            return flatten(node.value, path)
        if isinstance(node, msgspec.Struct):
            prefix = f"{path}." if path else ""
            return {name: flatten(getattr(node, name), prefix + name) for name in node.__struct_fields__}
        if isinstance(node, (tuple, list)):
            return [flatten(item, f"{path}[{index}]") for index, item in enumerate(node)]
        return node

    return flatten(value, ""), reasons
