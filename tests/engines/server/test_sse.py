"""Events out of bytes, however they are cut."""

from __future__ import annotations

import pytest

from edgetui.engines.server import sse
from edgetui.engines.server.sse import Event, EventReader, TooLargeEvent

STREAM = (
    b": a comment\n\ndata: one\n\nevent: x\r\nid: 3\r\ndata:two\r\ndata: and three\r\n\r\n"
    b'error: {"code": 1}\n\nretry: 5\n\ndata: last\r\r'
)
EVENTS = [Event(b"one"), Event(b"two\nand three"), Event(b'{"code": 1}', True), Event(b"last")]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_events_do_not_depend_on_how_the_stream_is_cut(size: int) -> None:
    reader = EventReader()
    pieces = [STREAM[start : start + size] for start in range(0, len(STREAM), size)]
    assert [event for piece in pieces for event in reader.feed(piece)] == EVENTS
    assert reader.is_between


def test_half_an_event_is_none() -> None:
    reader = EventReader()
    assert list(reader.feed(b"data: one\n\ndata: tw")) == [Event(b"one")]
    assert not reader.is_between
    assert list(reader.feed(b"o\n")) == [] and not reader.is_between
    assert list(reader.feed(b"\n")) == [Event(b"two")] and reader.is_between


@pytest.mark.parametrize("size", [1, 2, 1000])
def test_a_byte_order_mark_is_none_of_the_first_event(size: int) -> None:
    raw = b"\xef\xbb\xbf" + STREAM.partition(b"\n\n")[2]
    reader = EventReader()
    pieces = [raw[start : start + size] for start in range(0, len(raw), size)]
    assert [event for piece in pieces for event in reader.feed(piece)] == EVENTS


@pytest.mark.parametrize(
    "piece", [b"x" * 64, b"data: " + b"x" * 50 + b"\n", b"data: x\n" * 8, b"data:\n", b"data\n", b"error: \r\n"]
)
def test_an_event_without_end_is_not_kept(piece: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MOST_EVENT_BYTES", 500)
    reader = EventReader()
    with pytest.raises(TooLargeEvent):
        for _ in range(1000):
            list(reader.feed(piece))


def test_what_came_before_an_event_without_end_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MOST_EVENT_BYTES", 500)
    events = EventReader().feed(b"data: one\n\n" + b"data: x\n" * 1000)
    assert next(events) == Event(b"one")
    with pytest.raises(TooLargeEvent):
        next(events)
