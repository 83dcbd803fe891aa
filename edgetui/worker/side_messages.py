"""What a job and the process that measures one side of it say to each other, a JSON object a line."""

from __future__ import annotations

import msgspec

from edgetui.core.bench import BenchTest
from edgetui.core.failures import Failure
from edgetui.core.studies import BenchSide


class OpenSide(msgspec.Struct, frozen=True, tag="open"):
    """Load a model for a test and warm it up; answered by `SideOpened`."""

    side: BenchSide
    test: BenchTest


class RunSide(msgspec.Struct, frozen=True, tag="run"):
    """Run the test once; answered by `SideRan`."""


class CloseSide(msgspec.Struct, frozen=True, tag="close"):
    """Free the model; answered by `SideClosed`."""


class SideOpened(msgspec.Struct, frozen=True, tag="opened"):
    """The model is loaded and warm; the engine's facts, fields of `BenchRow`."""

    facts: dict[str, str | int | float | bool | None]


class SideRan(msgspec.Struct, frozen=True, tag="ran"):
    """How long the test took."""

    duration_ns: int


class SideClosed(msgspec.Struct, frozen=True, tag="closed"):
    """The model is freed."""


class SideFailed(msgspec.Struct, frozen=True, tag="failed"):
    """What was asked for failed; the process lives on, without a model."""

    failure: Failure


SideCommand = OpenSide | RunSide | CloseSide
SideAnswer = SideOpened | SideRan | SideClosed | SideFailed
