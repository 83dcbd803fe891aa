"""A lean reader of protobuf's wire format over a file: fields by place, so that what is skipped is never read.

Encoding as protobuf's documentation has it: a tag (field number and wire type) and a value; varints of 7 bits a byte.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_WIDTHS = {FIXED64: 8, FIXED32: 4}
_WINDOW_BYTES = 64 * 1024
_LONGEST_FIELD_HEAD = 20
"""Two varints of ten bytes each."""
MOST_FIELDS = 20_000_000
"""A graph of 10,000 nodes has half a million."""


class WireError(Exception):
    """The bytes are no protobuf; `is_short` where they are the beginning of some."""

    def __init__(self, reason: str, *, is_short: bool = False) -> None:
        super().__init__(reason)
        self.is_short = is_short


class Field(NamedTuple):
    """One field of a message."""

    number: int
    wire: int
    value: int
    """Of a varint or a fixed width, unsigned; else the place of the first byte."""
    end: int
    """Place after the last byte."""


class WireFile:
    """Messages of one file, read in windows as they are asked for."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream = stream
        self.size = size
        self._window = b""
        self._begin = 0
        self._fields_left = MOST_FIELDS

    def fields(self, begin: int, end: int) -> Iterator[Field]:
        """Fields of the message in these bytes of the file; raises `WireError`, and OSError as the disk does."""
        place = begin
        while place < end:
            self._fields_left -= 1
            if self._fields_left < 0:
                raise WireError(f"it has more than {MOST_FIELDS} fields")
            data, at = self._at(place)
            first = at
            try:
                tag, at = _varint(data, at)
                wire = tag & 7
                if wire == BYTES:
                    length, at = _varint(data, at)
                    value = place + at - first
                    place = value + length
                elif wire == VARINT:
                    value, at = _varint(data, at)
                    place += at - first
                elif wire in _WIDTHS:
                    width = _WIDTHS[wire]
                    value = int.from_bytes(data[at : at + width], "little")
                    place += at - first + width
                else:
                    raise WireError(f"a field has the wire type {wire}")
            except IndexError:
                raise WireError("it ends within a field", is_short=True) from None
            if place > end:
                raise WireError("a field is longer than what holds it", is_short=place > self.size)
            if not tag >> 3:
                raise WireError("a field has the number 0")
            yield Field(tag >> 3, wire, value, place)

    def content(self, field: Field, most: int) -> bytes:
        """The bytes of a field, which must be no more than `most`; raises `WireError`."""
        if field.wire != BYTES:
            raise WireError(f"field {field.number} is no text")
        length = field.end - field.value
        if length > most:
            raise WireError(f"field {field.number} takes {length} bytes")
        data, at = self._at(field.value, length)
        return data[at : at + length]

    def text(self, field: Field, most: int) -> str:
        """A field's text; what is no UTF-8 in it is replaced."""
        return self.content(field, most).decode("utf-8", "replace")

    def numbers(self, field: Field, most: int) -> list[int]:
        """Signed integers of a repeated field, packed or one of them; raises `WireError`."""
        if field.wire == VARINT:
            return [signed(field.value)]
        data = self.content(field, most * 10)
        found, at = [], 0
        try:
            while at < len(data):
                value, at = _varint(data, at)
                found.append(signed(value))
        except IndexError:
            raise WireError("a list ends within a number") from None
        if len(found) > most:
            raise WireError(f"a list has {len(found)} numbers")
        return found

    def _at(self, place: int, needed: int = _LONGEST_FIELD_HEAD) -> tuple[bytes, int]:
        """Bytes of the file and where in them `place` is; `needed` of them follow unless the file ends before."""
        at = place - self._begin
        if at < 0 or at + needed > len(self._window):
            self._stream.seek(place)
            self._window = self._stream.read(max(needed, _WINDOW_BYTES))
            self._begin, at = place, 0
        return self._window, at


def signed(value: int) -> int:
    """A varint as the 64-bit number that it stands for."""
    return value - (1 << 64) if value >> 63 else value


def _varint(data: bytes, at: int) -> tuple[int, int]:
    byte = data[at]
    at += 1
    if byte < 0x80:
        return byte, at
    value, shift = byte & 0x7F, 7
    while shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & ((1 << 64) - 1), at
        shift += 7
    raise WireError("a number has more than ten bytes")
