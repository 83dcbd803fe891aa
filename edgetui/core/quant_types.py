"""llama.cpp's file types: how they are grouped, what each is for, and how they stand in file names."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from edgetui.core.ggml import UNQUANTIZED

if TYPE_CHECKING:
    from collections.abc import Sequence


class QuantType(NamedTuple):
    """One type as a person chooses it."""

    name: str
    group: str
    purpose: str
    """What it is for, in a few words."""


class Fallback(msgspec.Struct, frozen=True):
    """A tensor that takes another type because its rows do not divide into the blocks of the one that was meant."""

    tensor: str
    row: int
    """Length of its rows, in weights."""
    wanted: str
    taken: str


_GROUPS: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    (
        "Unquantized",
        (
            ("F32", "for tests; twice the size of F16"),
            ("F16", "unquantized; source for other types"),
            ("BF16", "unquantized, as most models are trained"),
        ),
    ),
    (
        "8 bits",
        (
            ("Q8_0", "hardly any loss; fast on every CPU"),
            ("MXFP4", "experts in MXFP4, everything else Q8_0"),
        ),
    ),
    (
        "5 and 6 bits",
        (
            ("Q6_K", "very close to Q8_0, a quarter smaller"),
            ("Q5_K_M", "small loss; when Q4_K_M loses too much"),
            ("Q5_K_S", "as Q5_K_M, a little smaller"),
            ("Q5_1", "older 5 bits with an offset"),
            ("Q5_0", "older 5 bits"),
        ),
    ),
    (
        "4 bits",
        (
            ("Q4_K_M", "the usual choice: good for its size"),
            ("Q4_K_S", "as Q4_K_M, a little smaller"),
            ("IQ4_NL", "4 bits on a curve; fast on ARM CPUs"),
            ("IQ4_XS", "smallest good 4 bits; slower on old CPUs"),
            ("Q4_1", "older 4 bits with an offset"),
            ("Q4_0", "older 4 bits; fastest on ARM CPUs"),
        ),
    ),
    (
        "3 bits",
        (
            ("Q3_K_L", "visible loss; when Q4 does not fit"),
            ("Q3_K_M", "visible loss, smaller"),
            ("IQ3_M", "better than Q3_K_M, slower on CPUs"),
            ("IQ3_S", "as IQ3_M, a little smaller"),
            ("Q3_K_S", "large loss"),
            ("IQ3_XS", "large loss; smaller than Q3_K_S"),
            ("IQ3_XXS", "large loss; better with an imatrix"),
        ),
    ),
    (
        "1 and 2 bits",
        (
            ("Q2_K", "heavy loss; only for large models"),
            ("Q2_K_S", "heavy loss, smaller"),
            ("IQ2_M", "heavy loss; best near 2.7 bits"),
            ("IQ2_S", "heavy loss"),
            ("IQ2_XS", "heavy loss"),
            ("IQ2_XXS", "heavy loss; models of 70B and more"),
            ("IQ1_M", "extreme: barely usable"),
            ("IQ1_S", "extreme: barely usable"),
            ("TQ2_0", "models trained with ternary weights"),
            ("TQ1_0", "as TQ2_0, smaller and slower"),
            ("Q2_0", "models trained for 2 bits"),
            ("Q1_0", "models trained for 1 bit"),
        ),
    ),
)

OTHER_GROUP = "Other"
QUANT_TYPES: tuple[QuantType, ...] = tuple(
    QuantType(name, group, purpose) for group, types in _GROUPS for name, purpose in types
)
"""From wide to narrow, grouped; an installed llama.cpp may know fewer or more."""

_BY_NAME = {known.name: known for known in QUANT_TYPES}
_LAYER = re.compile(r"^blk\.\d+\.")
_SPLIT_SUFFIX = re.compile(r"-\d{5}-of-\d{5}$")
_TYPE_SUFFIX = re.compile(
    r"(?P<mark>[-._])(?P<type>" + "|".join(sorted(_BY_NAME, key=len, reverse=True)) + r"|NVFP4|MXFP4_MOE|FP16|FP32)$",
    re.IGNORECASE,
)


def describe_type(name: str) -> QuantType:
    """Group and purpose of a type; one that is newer than this edgetui stands in a group of its own."""
    return _BY_NAME.get(name) or QuantType(name, OTHER_GROUP, "")


def is_quantized(type_name: str) -> bool:
    """Whether weights lost precision when they were stored in this type."""
    return type_name.upper() not in UNQUANTIZED


def name_for_type(source_name: str, type_name: str, tag: str = "") -> str:
    """Name (without `.gguf`) for a model of another type, in the style of its source's name.

    `SmolLM2.Q4_1` -> `SmolLM2.F16`, `qwen-f16-00001-of-00002` -> `qwen-q8_0`, `phi` -> `phi-Q8_0`; a tag stands
    before the type: `SmolLM2-imatrix.IQ2_M`.
    """
    stem = _SPLIT_SUFFIX.sub("", source_name)
    match = _TYPE_SUFFIX.search(stem)
    before = stem if match is None else stem[: match.start()]
    mark = "-" if match is None else match["mark"]
    new = type_name.lower() if match is not None and match["type"].islower() else type_name
    return f"{before}{f'-{tag}' if tag else ''}{mark}{new}"


def split_names(stem: str, count: int) -> tuple[Path, ...]:
    """Names of the files of a model that is split in so many; `stem` stands before their numbers."""
    return tuple(Path(f"{stem}-{number:05d}-of-{count:05d}.gguf") for number in range(1, count + 1))


def quant_type_in_name(stem: str) -> str | None:
    """The type that a file's name (without `.gguf`) ends with, by llama.cpp's spelling; None when it tells none."""
    match = _TYPE_SUFFIX.search(_SPLIT_SUFFIX.sub("", stem))
    if match is None:
        return None
    name = match["type"].upper()
    return {"FP16": "F16", "FP32": "F32"}.get(name, name)


def plan_note(problem: str | None, needs_imatrix: bool, fallback_tensors: int) -> str:
    """What is special about making a type of a certain model, in a few words; empty when nothing is."""
    if problem is not None:
        return problem
    if needs_imatrix:
        return "needs an imatrix"
    if fallback_tensors == 1:
        return "1 tensor falls back"
    return f"{fallback_tensors} tensors fall back" if fallback_tensors else ""


def fallback_lines(fallbacks: Sequence[Fallback]) -> list[str]:
    """Which tensors take which type instead, those of the layers together, the most first.

    `30 x blk.*.attn_k.weight Q4_K -> Q5_0 (rows of 576)`.
    """
    counts: Counter[tuple[str, str, str, int]] = Counter()
    names: dict[tuple[str, str, str, int], str] = {}
    for fallback in fallbacks:
        kind = (_LAYER.sub("blk.*.", fallback.tensor), fallback.wanted, fallback.taken, fallback.row)
        counts[kind] += 1
        names[kind] = fallback.tensor
    lines = []
    for kind, count in counts.most_common():
        name, wanted, taken, row = kind
        tensors = names[kind] if count == 1 else f"{count} x {name}"
        lines.append(f"{tensors} {wanted} -> {taken} (rows of {row})")
    return lines
