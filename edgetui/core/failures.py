"""The one way a failure travels: a kind for code, one sentence for the person, details for the log."""

from __future__ import annotations

from typing import Literal

import msgspec

FailureKind = Literal[
    "bad_file",
    "bad_request",
    "bad_settings",
    "unsupported",
    "out_of_memory",
    "context_overflow",
    "no_space",
    "no_permission",
    "not_found",
    "exists",
    "busy",
    "cancelled",
    "crashed",
    "engine_missing",
    "network",
    "gated",
    "paused",
    "internal",
]


class Failure(msgspec.Struct, frozen=True):
    """What went wrong, as it crosses process boundaries and reaches the screen."""

    kind: FailureKind
    """Machine-readable reason."""
    message: str
    """One sentence for the person: what, why, what to do."""
    detail: str = ""
    """Anything longer, for the log only."""


class EdgetuiError(Exception):
    """Carries a `Failure` up the stack; `str()` gives the sentence for the person."""

    def __init__(self, kind: FailureKind, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.failure = Failure(kind, message, detail)

    @classmethod
    def of(cls, failure: Failure) -> EdgetuiError:
        """Rebuild the exception for a failure that arrived from another process."""
        return cls(failure.kind, failure.message, failure.detail)
