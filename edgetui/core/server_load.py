"""A server measured under load: so many conversations at once, latency and throughput of each level."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from edgetui.core.failures import EdgetuiError
from edgetui.core.servers import ServerEndpoint
from edgetui.core.statistics import percentile

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_AT_ONCE = 512
MOST_LEVELS = 16
Level = Annotated[int, Meta(ge=1, le=MOST_AT_ONCE)]


class ServerBenchSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What each level asks; every question begins with words of its own, so that no cache answers for the model."""

    concurrency: Annotated[tuple[Level, ...], Meta(min_length=1, max_length=MOST_LEVELS)] = (1, 2, 4)
    """Conversations at once, a level each."""
    prompt_tokens: Annotated[int, Meta(ge=16, le=1_000_000)] = 256
    """About; how many they were for the model's own tokenizer stands in the row."""
    generated_tokens: Annotated[int, Meta(ge=2, le=100_000)] = 64
    """At most; exactly where the server goes on past the model's end mark."""
    requests: Annotated[int, Meta(ge=1, le=10_000)] = 2
    """Questions of each conversation, one after another."""


class Percentiles(msgspec.Struct, frozen=True):
    """Seconds."""

    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Percentiles | None:
        """None of no values."""
        return cls(*(percentile(seconds, share) for share in (0.5, 0.95, 0.99))) if seconds else None


class ServerLoadRow(msgspec.Struct, frozen=True, kw_only=True):
    """One level, by the clock of this side; what failed is counted and left out of every figure."""

    concurrency: int
    requests: int
    failed: int
    problem: str
    """The first failure's sentence."""
    prompt_tokens: int
    """Of all questions together."""
    generated_tokens: int
    """Of all answers together, as the server counts them where it does."""
    is_counted_here: bool
    """Whether the server counted nothing, so that each piece of text was taken for a token."""
    wall_s: float
    """From the first question to the end of the last answer."""
    ttft_s: Percentiles | None
    itl_s: Percentiles | None
    """Between two pieces of one answer."""
    decode_tps: float | None
    """Of one conversation, the median: tokens after the first over the time after the first."""
    network_s: float | None
    """Median of what of the TTFT the server does not account for: network, waiting in its queue, and reading."""

    @property
    def is_lost(self) -> bool:
        """Whether nothing was answered: nor would more at once be."""
        return self.failed == self.requests

    @property
    def output_tps(self) -> float:
        """Generated tokens of all conversations over the wall time."""
        return self.generated_tokens / self.wall_s if self.wall_s > 0 else 0.0


class ServerLoadResult(msgspec.Struct, frozen=True, kw_only=True, tag="server"):
    """Every level of one server."""

    endpoint: ServerEndpoint
    server: str
    """Program and version, as far as it tells."""
    model: str
    settings: ServerBenchSettings
    rows: tuple[ServerLoadRow, ...]
    load_average: float | None
    """Of this machine before the first level; it says nothing of the server's, unless that is the same."""
    sentence: str


def levels_of(text: str) -> tuple[int, ...]:
    """`1,2,4` as numbers; raises `EdgetuiError("bad_request")` for what cannot be."""
    words = text.replace(",", " ").split()
    # Longer ones are beyond the limit, and Python refuses to read the longest.
    levels = [int(word) for word in words if word.isascii() and word.isdigit() and len(word) < 10]
    if len(levels) != len(words) or not 1 <= len(levels) <= MOST_LEVELS or not all(map(_is_level, levels)):
        raise EdgetuiError(
            "bad_request",
            f"The levels are up to {MOST_LEVELS} whole numbers from 1 to {MOST_AT_ONCE} with commas between, such as"
            f" 1,2,4, not {text!r}.",
        )
    return tuple(levels)


def _is_level(number: int) -> bool:
    return 1 <= number <= MOST_AT_ONCE


def summary_of(rows: Sequence[ServerLoadRow]) -> str:
    """What the levels show, in one sentence."""
    usable = [row for row in rows if row.generated_tokens]
    if not usable:
        return "No question was answered."
    failed, asked = sum(row.failed for row in rows), sum(row.requests for row in rows)
    but = f" {failed} of {asked} questions failed." if failed else ""
    if rows[-1].is_lost:
        but += f" {rows[-1].concurrency} at once got no answer at all, which ended the test."
    best = max(usable, key=lambda row: row.output_tps)
    first = usable[0]
    if best is first or first.output_tps <= 0:
        return f"{first.concurrency} at once gives {first.output_tps:.2f} tok/s, and no other level more.{but}"
    return (
        f"{best.concurrency} at once give the most, {best.output_tps:.2f} tok/s together,"
        f" {best.output_tps / first.output_tps:.2f} times that of {first.concurrency}.{but}"
    )
