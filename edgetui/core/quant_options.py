"""What a quantization by llama.cpp can be told beside its type, and how a person writes it."""

from __future__ import annotations

import re
from typing import Annotated

import msgspec
from msgspec import Meta

from edgetui.core.ggml import TENSOR_TYPES
from edgetui.core.units import MIB, format_bytes

BUFFER_BYTES = 16 * MIB
"""Most tensor data held in memory at once: llama.cpp's own default of 8 GiB is more than a board has.

It changes nothing in the result, since rows are quantized independently, and memory that is used again and again is
faster than fresh pages: on 2 cores a model of 258 MiB takes 7 % less time than with 256 MiB, one of 0.9 GiB the same.
"""
LEAST_BUFFER_BYTES = MIB
MOST_PATTERN_CHARACTERS = 128
MOST_OVERRIDES = 4096
"""A recipe has one a tensor."""

_UNWRITABLE = frozenset({"F64", "I8", "I16", "I32", "I64", "Q8_1", "Q8_K"})
WRITABLE_TYPES = tuple(kind.name for kind in TENSOR_TYPES.values() if kind.name not in _UNWRITABLE)
"""Tensor types that ggml can quantize to, by ggml's names in capitals."""
ABORTS_WITHOUT_WEIGHTS = frozenset({"IQ1_S", "IQ2_XXS", "IQ2_XS"})
"""Tensor types with which ggml ends the whole process where the importance matrix has no entry (ggml.c)."""

_SIZE = re.compile(r"(?P<count>\d{1,9})\s*(?P<unit>[KMG]i?B|[KMG])?", re.IGNORECASE)
_SIZE_UNITS = {"K": 1024, "M": MIB, "G": 1024 * MIB}


class TensorOverride(msgspec.Struct, frozen=True):
    """A type for the tensors whose names a pattern finds; of several that do, the first counts."""

    pattern: str
    """Regular expression, searched anywhere in the name."""
    type_name: str
    """One of `WRITABLE_TYPES`."""

    def __str__(self) -> str:
        return f"{self.pattern}={self.type_name}"


class QuantOptions(msgspec.Struct, frozen=True, kw_only=True):
    """All that changes the result, or the memory that it takes, in llama-quantize's terms; the defaults are its own."""

    imatrix: str = ""
    """Path of an importance matrix; empty for none."""
    tensor_types: tuple[TensorOverride, ...] = ()
    output_type: str = ""
    """Tensor type of `output.weight`, or of the embedding that stands for it; empty for the usual one."""
    embedding_type: str = ""
    """Tensor type of `token_embd.weight`; empty for the usual one."""
    pure: bool = False
    """Every tensor in the one type, without llama.cpp's mixture."""
    leave_output: bool = False
    """Keep `output.weight` as it is in the source."""
    keep_split: bool = False
    """Write as many files as the source has."""
    prune_layers: tuple[int, ...] = ()
    """Layers to leave out, ascending: an experiment, since nothing mends what they did."""
    buffer_bytes: int = BUFFER_BYTES

    @property
    def is_experiment(self) -> bool:
        """Whether the result is for experiments only."""
        return bool(self.prune_layers)

    @property
    def tag(self) -> str:
        """What a file's name says of them: `imatrix-pure`; empty when they change nothing."""
        tags = (
            ("imatrix", self.imatrix),
            ("pure", self.pure),
            ("custom", self.tensor_types or self.output_type or self.embedding_type or self.leave_output),
            (f"pruned{len(self.prune_layers)}", self.prune_layers),
        )
        return "-".join(tag for tag, given in tags if given)

    @property
    def told(self) -> str:
        """All that is not usual, in words; empty when everything is."""
        words = []
        if self.imatrix:
            words.append(f"imatrix {self.imatrix.rsplit('/', 1)[-1]}")
        if len(self.tensor_types) > 3:
            words.append(f"{len(self.tensor_types)} tensor overrides")
        else:
            words += [str(override) for override in self.tensor_types]
        if self.output_type:
            words.append(f"output {self.output_type}")
        if self.embedding_type:
            words.append(f"embedding {self.embedding_type}")
        words += [word for word, given in (("pure", self.pure), ("output left as it is", self.leave_output)) if given]
        if self.keep_split:
            words.append("split kept")
        if self.prune_layers:
            words.append(f"EXPERIMENT: without layers {_listed(self.prune_layers)}")
        if self.buffer_bytes != BUFFER_BYTES:
            words.append(f"buffer {format_bytes(self.buffer_bytes)}")
        return ", ".join(words)


class QuantForm(msgspec.Struct, frozen=True, kw_only=True):
    """The same as a person types it; `options_of` gives what it means."""

    tensor_types: str = ""
    output_type: str = ""
    embedding_type: str = ""
    pure: bool = False
    leave_output: bool = False
    keep_split: bool = False
    prune_layers: str = ""
    max_buffer: str = f"{BUFFER_BYTES // MIB} MiB"
    threads: Annotated[int, Meta(ge=0, le=1024)] = 0

    def __post_init__(self) -> None:
        options_of(self)


def options_of(form: QuantForm, imatrix: str = "") -> QuantOptions:
    """What a form means; raises ValueError, saying why in words."""
    return QuantOptions(
        imatrix=imatrix,
        tensor_types=tuple(parse_override(word) for word in form.tensor_types.split()),
        output_type=parse_type(form.output_type) if form.output_type else "",
        embedding_type=parse_type(form.embedding_type) if form.embedding_type else "",
        pure=form.pure,
        leave_output=form.leave_output,
        keep_split=form.keep_split,
        prune_layers=parse_layers(form.prune_layers),
        buffer_bytes=parse_size(form.max_buffer),
    )


def form_of(options: QuantOptions, threads: int = 0) -> QuantForm:
    """The form that means these options."""
    return QuantForm(
        tensor_types=" ".join(map(str, options.tensor_types)),
        output_type=options.output_type,
        embedding_type=options.embedding_type,
        pure=options.pure,
        leave_output=options.leave_output,
        keep_split=options.keep_split,
        prune_layers=_listed(options.prune_layers),
        max_buffer=f"{options.buffer_bytes // MIB} MiB",
        threads=threads,
    )


def parse_override(text: str) -> TensorOverride:
    """`ffn_down=q6_k`; raises ValueError, saying why in words."""
    pattern, separator, type_name = text.rpartition("=")
    if not separator or not pattern or not type_name:
        raise ValueError(f"{text!r} is not of the form PATTERN=TYPE, such as ffn_down=Q6_K")
    if len(pattern) > MOST_PATTERN_CHARACTERS or not pattern.isascii() or not pattern.isprintable():
        raise ValueError(f"the pattern {pattern[:40]!r} must be at most {MOST_PATTERN_CHARACTERS} plain characters")
    # Names of tensors are lower case, and llama-quantize makes patterns so.
    pattern = pattern.lower()
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"the pattern {pattern!r} is no regular expression ({error.msg})") from error
    return TensorOverride(pattern, parse_type(type_name))


def parse_type(text: str) -> str:
    """A tensor type by its name in any case; raises ValueError, listing those that there are."""
    name = text.strip().upper()
    if name not in WRITABLE_TYPES:
        raise ValueError(f"there is no tensor type {text[:40]!r} to write; there are {' '.join(WRITABLE_TYPES)}")
    return name


def parse_layers(text: str) -> tuple[int, ...]:
    """`3,5 7` ascending and once each; raises ValueError."""
    words = text.replace(",", " ").split()
    if not all(word.isascii() and word.isdecimal() and len(word) < 6 for word in words):
        raise ValueError(f"{text[:40]!r} is not a list of layers such as 3,5")
    return tuple(sorted({int(word) for word in words}))


def parse_size(text: str) -> int:
    """`128MiB`, `1 GiB`, or a number of bytes; raises ValueError."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text[:40]!r} is not a size such as 128MiB")
    size_bytes = int(match["count"]) * _SIZE_UNITS.get((match["unit"] or " ")[0].upper(), 1)
    if size_bytes < LEAST_BUFFER_BYTES:
        raise ValueError(f"{text[:40]!r} is less than {format_bytes(LEAST_BUFFER_BYTES)}, which no row of tensors fits")
    return size_bytes


def _listed(layers: tuple[int, ...]) -> str:
    return ",".join(map(str, layers))
