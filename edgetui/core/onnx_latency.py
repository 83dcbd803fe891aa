"""Latency of a plain ONNX Runtime session: what is asked, what was fed, what was measured and where the time went."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import msgspec
from msgspec import Meta

from edgetui.core.bench import Machine
from edgetui.core.failures import EdgetuiError
from edgetui.core.statistics import Ratio, mean, percentile, ratio_of_means, standard_deviation

if TYPE_CHECKING:
    from collections.abc import Mapping

AUTO = "auto"
FEWEST_RUNS, MOST_RUNS = 5, 20_000
"""Of a run that a time budget ends."""
_SIZE = re.compile(r"\s*([^=]+?)\s*=\s*(\d+(?:\s*x\s*\d+)*)\s*")

Sizes = dict[str, tuple[int, ...]]
"""Extents by the name of a free dimension (one number) or of an input (all of them)."""


class OnnxRunSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a graph is run."""

    sizes: str = ""
    """Extents such as `batch=1, input_ids=1x128`: of a free dimension by its name, of an input by its own."""
    file: str = ""
    """Path of an .npz with an array for each input, or of an .npy for a graph with one; empty for synthetic inputs."""
    provider: str = AUTO
    """Execution provider by its name without `ExecutionProvider`; `auto` takes the first that computes here."""
    opt_level: Literal["disabled", "basic", "extended", "all"] = "all"
    """How far ONNX Runtime may change the graph before it runs it."""
    threads: Annotated[int, Meta(ge=0, le=1024)] = 0
    """Threads within an operator; 0 takes one a physical core that this process may use."""
    inter_threads: Annotated[int, Meta(ge=0, le=1024)] = 0
    """Threads for operators beside each other, used in parallel mode; 0 leaves it to ONNX Runtime."""
    mode: Literal["sequential", "parallel"] = "sequential"
    """Whether operators that do not need each other run at the same time."""
    warm_up: Annotated[int, Meta(ge=0, le=1000)] = 3
    runs: Annotated[int, Meta(ge=0, le=MOST_RUNS)] = 0
    """Runs that count; 0 runs until the budget is used up."""
    budget_s: Annotated[float, Meta(gt=0, le=3600)] = 5.0
    profile: bool = False
    """Run some more with ONNX Runtime's profiling on, in a session of their own, and keep the trace."""
    seed: Annotated[int, Meta(ge=0, le=0xFFFF_FFFF)] = 0
    """Of synthetic inputs."""


class GraphValue(msgspec.Struct, frozen=True):
    """An input or output of a graph as the graph declares it."""

    name: str
    type_name: str
    """NumPy's, such as `float32`; ONNX's own where there is none."""
    shape: tuple[int | str, ...]
    """Words for free extents."""

    @property
    def shape_text(self) -> str:
        """`batch x 3 x 224 x 224`; `scalar` without extents."""
        return " x ".join(str(extent) for extent in self.shape) or "scalar"


class FedInput(msgspec.Struct, frozen=True):
    """What an input was given."""

    name: str
    type_name: str
    shape: tuple[int, ...]
    content: str
    """In words, such as `ids below 49152`."""


class OperatorTime(msgspec.Struct, frozen=True):
    """Time of all calls of one kind of operator, or of one node, over the profiled runs, without nodes nested in it."""

    name: str
    count: int
    """Calls."""
    total_us: int
    kind: str = ""
    """Type of operator, where `name` is a node's."""


class OnnxProfile(msgspec.Struct, frozen=True, kw_only=True):
    """What ONNX Runtime's trace says, summed."""

    runs: int
    """Whole runs in the trace."""
    by_type: tuple[OperatorTime, ...]
    """Dearest first."""
    by_node: tuple[OperatorTime, ...]
    """The dearest nodes."""
    by_provider: tuple[OperatorTime, ...]
    """On which providers nodes were computed."""
    trace: str
    """Path of the trace, for viewers of Chrome's trace format."""
    is_cut: bool = False
    """Whether ONNX Runtime stopped recording before the last run had ended, of which nothing is counted then."""

    @property
    def total_us(self) -> int:
        """Of all operators, none counted twice."""
        return sum(each.total_us for each in self.by_type)


class OnnxLatencyRow(msgspec.Struct, frozen=True, kw_only=True):
    """One measurement of one graph."""

    model_name: str
    model_path: str
    model_fingerprint: str
    model_size_bytes: int
    quant_type: str
    settings: OnnxRunSettings
    inputs: tuple[FedInput, ...]
    outputs: tuple[GraphValue, ...]
    """With the extents that they had."""
    provider: str
    """Execution provider that the session took up."""
    remarks: tuple[str, ...]
    """What was not as asked, one sentence each."""
    engine_version: str
    environment: str
    """Toolchain whose ONNX Runtime it was; empty for edgetui's own environment."""
    threads: int
    load_s: float
    first_run_ns: int | None
    """The first warm-up run, where memory is laid out; None without warm-up."""
    samples_ns: tuple[int, ...]
    """Duration of each run that counts."""
    memory_bytes: int | None
    """Most memory that the process held, weights included."""
    others_share: float | None
    """Of all processors' time, what everything but this process took; None where the system does not tell."""
    measured_at: float
    machine: Machine = Machine()
    profile: OnnxProfile | None = None

    @property
    def mean_ms(self) -> float:
        """Arithmetic mean."""
        return mean(self.samples_ns) / 1e6

    @property
    def deviation_ms(self) -> float | None:
        """Sample standard deviation; None for one run."""
        found = standard_deviation(self.samples_ns)
        return None if found is None else found / 1e6

    def percentile_ms(self, share: float) -> float:
        """Latency below which `share` (0 to 1) of the runs lie."""
        return percentile(self.samples_ns, share) / 1e6

    @property
    def runs_per_s(self) -> float:
        """Throughput: runs over the sum of their durations."""
        return 1e9 / mean(self.samples_ns)


class OnnxLatencyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the history."""

    record_id: int
    job_id: str | None
    row: OnnxLatencyRow


class OnnxComparison(NamedTuple):
    """Two measurements side by side."""

    ratio: Ratio | None
    """Speed of the first over the second's, of the means; None when either has a single run."""
    differences: tuple[str, ...]
    """What differs between the two besides the figures, so that one knows what the ratio is of."""


def compare(first: OnnxLatencyRow, second: OnnxLatencyRow) -> OnnxComparison:
    """How much faster the first is, and in what both differ."""
    pairs = {
        "model": (first.model_name, second.model_name),
        "inputs": (_fed(first), _fed(second)),
        "provider": (first.provider, second.provider),
        "optimization": (first.settings.opt_level, second.settings.opt_level),
        "threads": (str(first.threads), str(second.threads)),
        "mode": (first.settings.mode, second.settings.mode),
        "onnxruntime": (first.engine_version, second.engine_version),
        "machine": (first.machine.cpu, second.machine.cpu),
    }
    return OnnxComparison(
        # A speed is the inverse of a time.
        ratio_of_means(second.samples_ns, first.samples_ns),
        tuple(f"{name} {a or '-'} against {b or '-'}" for name, (a, b) in pairs.items() if a != b),
    )


def _fed(row: OnnxLatencyRow) -> str:
    return " ".join(f"{each.name}={'x'.join(map(str, each.shape))}" for each in row.inputs)


def parse_sizes(text: str) -> Sizes:
    """`batch=1, input_ids=1x128` by name; raises `EdgetuiError("bad_request")` naming the part that is none."""
    sizes: Sizes = {}
    for part in filter(str.strip, re.split(r"[,;]", text)):
        match = _SIZE.fullmatch(part)
        if match is None:
            raise EdgetuiError(
                "bad_request",
                f"{part.strip()[:60]!r} is no size: write name=number for a free dimension, or name=1x3x224x224 for an"
                " input.",
            )
        sizes[match[1]] = tuple(int(extent) for extent in match[2].split("x"))
    return sizes


def extents_of(value: GraphValue, sizes: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
    """The extents that an input gets: those asked for, else the graph's, else what such a dimension usually is.

    Raises `EdgetuiError("bad_request")` for extents that the graph does not take.
    """
    asked = sizes.get(value.name)
    if asked is None:
        return tuple(
            extent if isinstance(extent, int) else _free(value, axis, extent, sizes)
            for axis, extent in enumerate(value.shape)
        )
    fits = len(asked) == len(value.shape) and all(
        not isinstance(wanted, int) or wanted == given for wanted, given in zip(value.shape, asked, strict=True)
    )
    if not fits:
        raise EdgetuiError(
            "bad_request",
            f"The input {value.name} is {value.shape_text}, and {' x '.join(map(str, asked))} does not fit: give as"
            " many extents, and the same where the graph has a number.",
        )
    return asked


def with_free_dimensions(values: tuple[GraphValue, ...], sizes: Sizes) -> Sizes:
    """The same sizes, with what the extents asked for whole inputs say of free dimensions that others share."""
    found: Sizes = {}
    for value in values:
        for wanted, given in zip(value.shape, sizes.get(value.name, ()), strict=False):
            # A sum of dimensions tells none of them.
            if isinstance(wanted, str) and wanted != "?" and "+" not in wanted and wanted != value.name:
                found.setdefault(wanted, (given,))
    return {**found, **sizes}


_USUAL = (
    (re.compile(r"past"), 0),
    (re.compile(r"batch|^n$|num_?images?"), 1),
    (re.compile(r"seq|len|token|text|time|^t$|^s$"), 128),
    (re.compile(r"channel|^c$"), 3),
    (re.compile(r"height|width|image|^h$|^w$"), 224),
)
"""Words in the names of free dimensions, and what such a one usually is."""
_IMAGE_AXES, _IMAGE_EXTENTS = 4, {1: 3, 2: 224, 3: 224}


def _free(value: GraphValue, axis: int, name: str | int, sizes: Mapping[str, tuple[int, ...]]) -> int:
    """Exporters write sums too, such as `past_sequence_length + sequence_length`."""
    parts = [part.strip() for part in str(name).split("+")]
    if len(parts) > 1:
        return sum(int(part) if part.isdigit() else _free(value, axis, part, sizes) for part in parts)
    word = parts[0]
    if word in sizes:
        if len(sizes[word]) != 1:
            raise EdgetuiError("bad_request", f"{word} is one dimension: write {word}=NUMBER.")
        return sizes[word][0]
    lower = word.lower()
    if "total" in lower:
        # The past and what is new.
        new = re.sub(r"total_?", "", word)
        if len(sizes.get(new, ())) == 1:
            return sizes[new][0] + sum(sizes.get(f"past_{new}", (0,)))
        lower = lower.replace("past", "")
    usual = next((extent for pattern, extent in _USUAL if pattern.search(lower)), None)
    if usual is not None:
        return usual
    return _IMAGE_EXTENTS.get(axis, 1) if len(value.shape) == _IMAGE_AXES else 1


def names_in(values: tuple[GraphValue, ...]) -> set[str]:
    """Everything that a size may be given for: inputs and their free dimensions."""
    free = {
        part.strip()
        for value in values
        for extent in value.shape
        if isinstance(extent, str)
        for part in extent.split("+")
    }
    return {value.name for value in values} | {name for name in free if not name.isdigit() and name != "?"}
