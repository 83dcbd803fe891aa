"""The base of what goes between processes and stands in journals."""

from __future__ import annotations

import msgspec


class Tagged(msgspec.Struct, frozen=True, tag_field="type", tag=True):
    """Base of every message; the class name is its tag."""
