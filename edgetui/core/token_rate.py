"""Rates and latencies from the times of tokens, all on the worker's clock."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_NS = 1e9


class TokenRate:
    """Figures of one answer, from the time of each of its tokens since the request."""

    def __init__(self) -> None:
        self._times_ns: list[int] = []
        self._sorted_intervals_ns: list[int] = []

    def add(self, times_ns: Iterable[int]) -> None:
        """Take the times of the next tokens, in order, in nanoseconds since the request."""
        for time_ns in times_ns:
            if self._times_ns:
                insort(self._sorted_intervals_ns, time_ns - self._times_ns[-1])
            self._times_ns.append(time_ns)

    @property
    def token_count(self) -> int:
        """Tokens so far, the first included."""
        return len(self._times_ns)

    @property
    def last_ns(self) -> int:
        """Time of the last token; 0 before the first."""
        return self._times_ns[-1] if self._times_ns else 0

    @property
    def ttft_s(self) -> float | None:
        """From the request to the first token."""
        return self._times_ns[0] / _NS if self._times_ns else None

    @property
    def mean_tps(self) -> float | None:
        """Decode rate of the whole answer: tokens after the first over the time after the first."""
        return decode_tps(len(self._times_ns), (self.last_ns - self._times_ns[0]) / _NS) if self._times_ns else None

    def recent_tps(self, window_s: float = 1.0) -> float | None:
        """Decode rate over the window that ends with the last token, or the last interval when that is longer."""
        times = self._times_ns
        if len(times) < 2:
            return None
        first = min(bisect_left(times, times[-1] - round(window_s * _NS)), len(times) - 2)
        return decode_tps(len(times) - first, (times[-1] - times[first]) / _NS)

    def interval_s(self, percentile: float) -> float | None:
        """Inter-token latency at a percentile (0 to 100), by nearest rank."""
        intervals = self._sorted_intervals_ns
        if not intervals:
            return None
        rank = max(1, math.ceil(len(intervals) * percentile / 100))
        return intervals[rank - 1] / _NS


class RateHistory:
    """Decode rate over the time of one answer, in at most so many equal spans; full, each span doubles."""

    def __init__(self, spans: int, first_span_s: float = 0.5) -> None:
        self._limit = max(2, spans)
        self._span_ns = round(first_span_s * _NS)
        self._spans: list[tuple[int, int]] = []
        """Of each span: the intervals that end in it, and their sum in nanoseconds."""
        self._first_ns: int | None = None
        self._last_ns = 0

    def add(self, times_ns: Iterable[int]) -> None:
        """Take the times of the next tokens, as `TokenRate.add` does."""
        for time_ns in times_ns:
            if self._first_ns is None:
                self._first_ns = self._last_ns = time_ns
                continue
            index = (time_ns - self._first_ns) // self._span_ns
            while index >= self._limit:
                self._halve()
                index = (time_ns - self._first_ns) // self._span_ns
            self._spans.extend((0, 0) for _ in range(index + 1 - len(self._spans)))
            count, sum_ns = self._spans[index]
            self._spans[index] = (count + 1, sum_ns + time_ns - self._last_ns)
            self._last_ns = time_ns

    @property
    def rates_tps(self) -> list[float | None]:
        """Rate in each span, oldest first; None where no token came."""
        return [count * _NS / sum_ns if sum_ns else None for count, sum_ns in self._spans]

    def _halve(self) -> None:
        self._span_ns *= 2
        padded = [*self._spans, (0, 0)]
        self._spans = [
            (padded[i][0] + padded[i + 1][0], padded[i][1] + padded[i + 1][1]) for i in range(0, len(self._spans), 2)
        ]


def decode_tps(generated_tokens: int, decode_s: float) -> float | None:
    """Decode rate: the first token belongs to prefill. None when it cannot be told."""
    return (generated_tokens - 1) / decode_s if generated_tokens > 1 and decode_s > 0 else None


def prefill_tps(prefill_tokens: int, prefill_s: float) -> float | None:
    """Prefill rate over the tokens that were computed. None when it cannot be told."""
    return prefill_tokens / prefill_s if prefill_tokens > 0 and prefill_s > 0 else None
