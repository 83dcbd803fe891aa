"""One JSON object a line: how protocol structs stand on pipes and in journals."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from edgetui.worker.job_events import JobEvent
from edgetui.worker.protocol import Command, SessionEvent

if TYPE_CHECKING:
    from collections.abc import Iterator

encoder = msgspec.json.Encoder()
command_decoder: msgspec.json.Decoder[Command] = msgspec.json.Decoder(Command)
session_decoder: msgspec.json.Decoder[SessionEvent] = msgspec.json.Decoder(SessionEvent)
job_decoder: msgspec.json.Decoder[JobEvent] = msgspec.json.Decoder(JobEvent)

LINE_LIMIT_BYTES = 64 * 1024 * 1024
"""Longest line a reader accepts: a pasted prompt of some tens of MiB still passes."""


def encode_line(message: msgspec.Struct) -> bytes:
    """The message with its newline."""
    return encoder.encode(message) + b"\n"


def write_all(descriptor: int, data: bytes) -> None:
    """Write every byte to a blocking descriptor."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def read_lines(descriptor: int) -> Iterator[bytes]:
    """Lines without their newline until end of file; an unfinished last line is dropped."""
    with os.fdopen(descriptor, "rb", closefd=False) as stream:
        for line in stream:
            if line.endswith(b"\n"):
                yield line[:-1]
