"""Machines to ask about: this one, one that somebody calibrated elsewhere, or one known by its data sheet only."""

from __future__ import annotations

import msgspec

from edgetui.core.calibration import Calibration


class Board(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What decides which models a machine runs and how fast."""

    name: str
    memory_bytes: int
    """That a process may take."""
    memory_words: str
    """What that figure is, such as `available now` or `all that the board has`."""
    bandwidth_bytes_per_s: float | None = None
    """Of its memory by the data sheet, where there is no calibration."""
    calibration: Calibration | None = None
    missing: str = ""
    """Why nothing is known of its speed; empty where something is."""
    source: str = ""
    """Address of the data sheet."""


class BoardProfile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A board by its data sheet, as it stands in `edgetui/data/boards.toml`."""

    name: str
    memory_gib: float
    bandwidth_gb_per_s: float
    """Peak, decimal gigabytes."""
    memory_kind: str
    source: str
