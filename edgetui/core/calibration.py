"""What a calibration measured of this machine: streaming, matrix throughput, and the cost of a graph's nodes."""

from __future__ import annotations

import math

import msgspec

from edgetui.core.statistics import median, percentile

PREFILL_COLUMNS = 256
"""Columns of the batched products."""
ATTENTION_GROUP = 4
"""Query heads to a KV head in the second of the two timed kinds of attention."""
HEAD_WIDTHS = (64, 128, 256)
ATTENTION_CACHE_TYPES = ("F16", "Q8_0", "Q4_0")
"""KV cache types whose attention is timed; of the others there is no forecast."""
WIDE, NARROW = 2048, 512
"""Widths of the calibrated matrices; every type's block divides them."""

STEADY_SPREAD = 0.2
"""A measured rate may vary by so much between repetitions, as a share of itself to either side: a machine that is left
alone stays far below."""
CALM_CORES = 0.25
"""Others may keep so much of a core busy before a calibration is worth nothing: with a thread on every core, the
whole product waits for the one that was held up."""


class Rate(msgspec.Struct, frozen=True):
    """A figure a second with its spread over the repetitions."""

    per_s: float
    """Median."""
    low: float
    high: float

    @classmethod
    def of(cls, samples: list[float]) -> Rate:
        """Median and the middle four fifths of the samples."""
        return cls(median(samples), percentile(samples, 0.1), percentile(samples, 0.9))

    @property
    def spread(self) -> float:
        """Half the width of the interval over the figure."""
        return (self.high - self.low) / (2 * self.per_s)


class TypeRate(msgspec.Struct, frozen=True, kw_only=True):
    """How fast weights of one ggml type are multiplied."""

    type_name: str
    decode: Rate
    """Weights a second with one column, read from memory, in rows of `WIDE`."""
    narrow: Rate
    """The same in rows of `NARROW`: a row has a cost of its own."""
    prefill: Rate
    """Weights times columns a second with `PREFILL_COLUMNS` columns."""

    def decode_per_s(self, width: int) -> float:
        """Weights a second in rows of this width: seconds a weight are `a + b / width`, by two measured widths."""
        wide_s, narrow_s = 1 / self.decode.per_s, 1 / self.narrow.per_s
        row_s = max(0.0, narrow_s - wide_s) / (1 / NARROW - 1 / WIDE)
        return 1 / (wide_s + row_s * (1 / max(width, 1) - 1 / WIDE))


class AttentionRate(msgspec.Struct, frozen=True, kw_only=True):
    """How fast queries are multiplied with a KV cache, in multiplications a second (K and V count)."""

    head_width: int
    cache_type: str
    """Name of a ggml type."""
    alone: Rate
    """One query at a deep cache, every query head with a KV head of its own: the cache comes from memory."""
    grouped: Rate
    """The same where `ATTENTION_GROUP` query heads share a KV head."""
    prefill: Rate
    """A batch of `PREFILL_COLUMNS` queries that see the tokens before them."""

    def decode_per_s(self, group: float) -> float:
        """For so many query heads to a KV head: seconds a multiplication are `a + b / group`, by the two timed kinds.

        `a` is what a multiplication costs each query, `b` what fetching K and V costs all that share them.
        """
        alone_s, grouped_s = 1 / self.alone.per_s, 1 / self.grouped.per_s
        fetch_s = max(0.0, alone_s - grouped_s) / (1 - 1 / ATTENTION_GROUP)
        # Where the group is far above the timed one the multiplication alone stays.
        return 1 / max(grouped_s + fetch_s * (1 / max(group, 1.0) - 1 / ATTENTION_GROUP), grouped_s / 2)


class ThreadCalibration(msgspec.Struct, frozen=True, kw_only=True):
    """Everything measured with one number of threads."""

    threads: int
    bandwidth: Rate
    """Bytes of weights a second, of the type that streams fastest."""
    node_s: float
    """Of a graph's other nodes (norm, rotation, sum, activation) on a short vector, dispatch and barrier included."""
    matmul_node_s: float
    """Of the smallest matrix product, the conversion of its vector included."""
    element_s: float
    """Of one element through one step such as a norm, a sum or an activation, in a whole batch."""
    nodes_spread: float = 0.1
    """Half the width of the interval of these three over the figure, of the one that differs most."""
    attention: tuple[AttentionRate, ...]
    """For every pair of `HEAD_WIDTHS` and `ATTENTION_CACHE_TYPES`."""
    types: tuple[TypeRate, ...]

    def attention_rate(self, head_width: int, cache_type: str) -> AttentionRate | None:
        """Figures of the nearest width, as a ratio; None when the type of cache was not measured."""
        rates = [rate for rate in self.attention if rate.cache_type == cache_type]
        return min(rates, key=lambda rate: abs(math.log(rate.head_width / max(head_width, 1))), default=None)

    def type_rate(self, type_name: str) -> TypeRate | None:
        """Figures of a type; None when it was not measured."""
        return next((rate for rate in self.types if rate.type_name == type_name), None)


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """One calibration; valid for the machine and the engine build that `fingerprint` names."""

    measured_at: float
    """Unix time in seconds."""
    duration_s: float
    buffer_bytes: int
    """Weights of each type that were streamed."""
    rounds: int
    engine_version: str
    others_cores: float | None = None
    """Cores that other programs kept busy meanwhile, on average; None where the system does not tell."""
    available_bytes: int = 0
    """Memory that a process could take before it began."""
    rearranged_types: tuple[str, ...] = ()
    """Tensor types of which this processor's backend keeps a second copy."""
    threads: tuple[ThreadCalibration, ...]

    @property
    def disturbance(self) -> str:
        """What makes the figures doubtful, in words; empty for a calm machine."""
        if self.others_cores is not None and self.others_cores > CALM_CORES:
            return f"other programs kept {self.others_cores:.1f} cores busy while this machine was measured"
        spread = max(part.bandwidth.spread for part in self.threads)
        if spread > STEADY_SPREAD:
            return f"memory was read at rates that differ by {2 * spread:.0%} while this machine was measured"
        return ""

    def with_threads(self, count: int) -> ThreadCalibration | None:
        """Figures for a number of threads; None when it was not measured."""
        return next((part for part in self.threads if part.threads == count), None)


class Fingerprint(msgspec.Struct, frozen=True, kw_only=True):
    """What a calibration holds for; any difference makes it stale."""

    processor: str
    physical_cores: str
    memory: str
    engine: str
    """Version of the package and of the library."""
    features: str
    """Instruction sets and devices that the library was built with."""

    def difference(self, other: Fingerprint) -> str:
        """The first thing that differs, as `engine: X, now Y`; empty when nothing does."""
        for name in self.__struct_fields__:
            before, now = getattr(self, name), getattr(other, name)
            if before != now:
                return f"{name.replace('_', ' ')} was {before}, now is {now}"
        return ""


CALIBRATED_TYPES = ("F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q4_K", "Q5_K", "Q6_K")
"""Of the others there is no forecast."""
