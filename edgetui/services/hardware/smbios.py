"""Memory modules in the firmware's SMBIOS table: structures of type 17, as DMTF's DSP0134 lays them out."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from edgetui.core.hardware import MemoryModule, Reading, known, unknown

if TYPE_CHECKING:
    from collections.abc import Iterator

_MEMORY_DEVICE = 17
_END_OF_TABLE = 127
_HEADER_BYTES = 4
_UNKNOWN_WORD = 0xFFFF
_EXTENDED_SIZE = 0x7FFF
_SIZE_IN_KIB = 0x8000
_FORMS = {0x03: "SIMM", 0x05: "chip", 0x09: "DIMM", 0x0B: "soldered", 0x0C: "RIMM", 0x0D: "SODIMM", 0x0F: "FB-DIMM",
          0x10: "die", 0x11: "CAMM"}  # fmt: skip
_KINDS = {0x0F: "SDRAM", 0x12: "DDR", 0x13: "DDR2", 0x14: "DDR2 FB-DIMM", 0x18: "DDR3", 0x1A: "DDR4", 0x1B: "LPDDR",
          0x1C: "LPDDR2", 0x1D: "LPDDR3", 0x1E: "LPDDR4", 0x20: "HBM", 0x21: "HBM2", 0x22: "DDR5", 0x23: "LPDDR5",
          0x24: "HBM3"}  # fmt: skip


class _Structure(NamedTuple):
    kind: int
    data: bytes
    """The formatted part, its header included."""
    strings: list[str]

    def byte(self, offset: int) -> int:
        """0 where an older table ends before it."""
        return self.data[offset] if offset < len(self.data) else 0

    def word(self, offset: int) -> int:
        return int(struct.unpack_from("<H", self.data, offset)[0]) if offset + 2 <= len(self.data) else 0

    def double(self, offset: int) -> int:
        return int(struct.unpack_from("<I", self.data, offset)[0]) if offset + 4 <= len(self.data) else 0

    def string(self, offset: int) -> str:
        number = self.byte(offset)
        return self.strings[number - 1].strip() if 0 < number <= len(self.strings) else ""


def memory_modules(table: bytes) -> tuple[MemoryModule, ...]:
    """Every slot that is filled; a table that is cut off gives those before the cut."""
    return tuple(
        module
        for structure in _structures(table)
        if structure.kind == _MEMORY_DEVICE and (module := _module(structure)) is not None
    )


def _structures(table: bytes) -> Iterator[_Structure]:
    start = 0
    while start + _HEADER_BYTES <= len(table):
        kind, length = table[start], table[start + 1]
        if length < _HEADER_BYTES or start + length > len(table):
            return
        # Strings follow, each ended by a zero; a second zero ends them all.
        end = table.find(b"\0\0", start + length)
        if end < 0:
            return
        strings = table[start + length : end].decode("latin-1").split("\0")
        yield _Structure(kind, table[start : start + length], strings)
        if kind == _END_OF_TABLE:
            return
        start = end + 2


def _module(structure: _Structure) -> MemoryModule | None:
    size = structure.word(0x0C)
    if size in (0, _UNKNOWN_WORD):
        return None
    if size == _EXTENDED_SIZE:
        size_bytes = (structure.double(0x1C) & 0x7FFFFFFF) * 1024**2
    elif size & _SIZE_IN_KIB:
        size_bytes = (size & ~_SIZE_IN_KIB) * 1024
    else:
        size_bytes = size * 1024**2
    kind, form = _KINDS.get(structure.byte(0x12)), _FORMS.get(structure.byte(0x0E))
    return MemoryModule(
        slot=structure.string(0x10) or structure.string(0x11),
        size_bytes=size_bytes,
        kind=known(kind) if kind else unknown("the firmware does not name it"),
        form=known(form) if form else unknown("the firmware does not name it"),
        rated_mts=_speed(structure, 0x15, 0x54),
        configured_mts=_speed(structure, 0x20, 0x58),
    )


def _speed(structure: _Structure, offset: int, extended_offset: int) -> Reading[int]:
    speed = structure.word(offset)
    if speed == _UNKNOWN_WORD:
        speed = structure.double(extended_offset) & 0x7FFFFFFF
    return known(speed) if speed else unknown("the firmware does not tell it")
