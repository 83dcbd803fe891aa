"""The search for the tensor types that lose least at a given size: settings, groups, allocation and verdict.

The mean KL divergence of a quantized model from its parent is taken as a sum over tensors of sensitivity times squared
error, which holds while errors are small: its first derivatives are zero where the model is the parent itself.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Annotated, NamedTuple

import msgspec
from msgspec import Meta

from edgetui.core.ggml import TENSOR_TYPES, tensor_bytes
from edgetui.core.quality import EMBEDDED_TEXT
from edgetui.core.quant_options import WRITABLE_TYPES
from edgetui.core.statistics import mean, standard_deviation, student_t
from edgetui.core.units import format_bytes, format_rate

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

CANDIDATES = (
    "F16", "Q8_0", "Q6_K", "Q5_K", "Q5_1", "Q5_0", "Q4_K", "Q4_1", "Q4_0", "IQ4_NL", "IQ4_XS", "Q3_K", "Q2_K",
)  # fmt: skip
"""Types to choose from; the grid types below 4 bits are left out, since every CPU decodes them slowly."""
PROBE_TYPE = "Q4_0"
"""What a group of tensors is quantized to when its effect is measured: rows of every usual model divide into it."""
_SIZE = re.compile(r"(?P<count>\d{1,15}(\.\d{1,9})?)\s*(?P<unit>B|[KMGT](i?B)?)?", re.IGNORECASE)
_SIZE_UNITS = {"B": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}
_LAYER = re.compile(r"blk\.(\d+)\.(.+)\.weight$")
_BANDS = ((1, 8), (1, 2), (7, 8))
"""Where one part of the layers ends and the next begins: the first and the last behave differently from the rest."""
_MOST_STATES = 65_536
"""Of the allocation; sizes are rounded up to as much of the budget."""

_NEVER = (
    "_norm.weight", "ffn_gate_inp.weight", "ffn_gate_tid2eid.weight", "altup", "laurel", "per_layer_model_proj",
    "position_embd.weight", "token_types.weight", "conv1d", "shortconv.conv.weight", "time_mix_", "attn_rel_b.weight",
    "indexer.", "hc_", "per_layer_token_embd", "ssm_",
)  # fmt: skip
"""Parts of names of tensors that llama.cpp keeps as they are, or that are left so here."""


class RecipeSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is searched, and how thoroughly."""

    target_bytes: Annotated[int, Meta(ge=1)]
    """Most that the file may have."""
    text: str = EMBEDDED_TEXT
    """`topics`, or the path of a UTF-8 text file."""
    context_tokens: Annotated[int, Meta(ge=32, le=8192)] = 512
    """Tokens a chunk; those of its second half are scored, as llama-perplexity does."""
    chunks: Annotated[int, Meta(ge=4, le=100_000)] = 24
    """Chunks that the verdict is over."""
    choosing_chunks: Annotated[int, Meta(ge=0, le=10_000)] = 4
    """Chunks before those, over which sensitivities are measured; 0 takes all tensors as equally sensitive."""
    threads: Annotated[int, Meta(ge=0, le=1024)] = 0
    """0 takes one a physical core."""
    types: tuple[str, ...] = CANDIDATES
    """ggml types to choose from; what a tensor has already is always among them."""
    most_weights: Annotated[int, Meta(ge=0)] = 4 * 1024**2
    """Of a tensor that has more, errors are measured on so many; 0 for all."""
    bench: bool = True
    """Whether the decode rates of both files are measured at the end."""

    def __post_init__(self) -> None:
        unknown = next((name for name in self.types if name not in WRITABLE_TYPES), None)
        if unknown is not None or not self.types:
            raise ValueError(f"there is no tensor type {unknown or 'named'}; there are {' '.join(WRITABLE_TYPES)}")


class Choice(NamedTuple):
    """A type that a tensor may have."""

    type_name: str
    size_bytes: int
    """With the padding in a file."""
    cost: float
    """Expected KL divergence that it adds, or any other figure that adds up."""


class GroupSensitivity(msgspec.Struct, frozen=True, kw_only=True):
    """What quantizing one group of tensors did, and nothing else quantized."""

    group: str
    kl: float
    """Mean KL divergence from the parent, in nats."""
    error: float
    """Sum of the tensors' `output_error` in the probe type, which the divergence belongs to."""

    @property
    def per_error(self) -> float:
        """KL divergence for a unit of error; never below 0."""
        return max(0.0, self.kl) / self.error if self.error > 0 else 0.0


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two files that are compared."""

    name: str
    size_bytes: int
    kl_chunks: tuple[float, ...]
    """Mean KL divergence from the parent in each chunk, in nats."""
    same_top1: float
    """Share of tokens with the parent's likeliest token, 0 to 1."""
    perplexity: float
    decode_tps: float | None = None
    decode_sd_tps: float | None = None

    @property
    def kl(self) -> float:
        """Mean over all chunks."""
        return mean(self.kl_chunks)


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """Whether one model's KL divergence is below another's: the mean difference over chunks with its 95 % interval."""

    difference: float
    """First minus second, in nats; below 0 the first is better."""
    low: float
    high: float

    @property
    def word(self) -> str:
        """`better`, `worse` or `no difference shown`: of the first."""
        if self.high < 0:
            return "better"
        return "worse" if self.low > 0 else "no difference shown"


class RecipeResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a search found."""

    parent_name: str
    target_bytes: int
    recipe: Measured
    stock: Measured
    stock_type: str
    verdict: Verdict
    types: tuple[tuple[str, int, int], ...]
    """ggml type, how many tensors have it, and their bytes; the largest part first."""
    predicted_kl: float | None
    """By the sum that was minimised; None without measured sensitivities."""
    predicted_stock_kl: float | None
    overrides: tuple[tuple[str, str], ...]
    """Tensor name and type, each that may be quantized."""
    base_type: str
    imatrix: str
    text_name: str
    context_tokens: int
    choosing_chunks: int
    recovered_from: str | None = None
    """Quantization type that the parent's weights passed through; it, and types like it, lose less of them."""
    wanted_tps: float | None = None
    """Where a rate was asked for: what the size was worked out from."""


def may_be_quantized(name: str, shape: Sequence[int]) -> bool:
    """Whether llama.cpp quantizes a tensor of this name (llama-quant.cpp, `tensor_allows_quantization`) and shape."""
    extents = [extent for extent in shape[1:] if extent > 1]
    return bool(extents) and name.endswith("weight") and not any(part in name for part in _NEVER)


def group_of(name: str, layer_count: int) -> str:
    """Tensors of one kind in one stretch of the layers are probed together: `ffn_down 1/4`, `token_embd`."""
    found = _LAYER.match(name)
    if found is None:
        return name.removesuffix(".weight")
    layer = int(found[1])
    band = sum(layer * below >= above * layer_count for above, below in _BANDS)
    return f"{found[2]} {band + 1}/{len(_BANDS) + 1}"


def padded_bytes(type_name: str, shape: Sequence[int]) -> int:
    """Bytes of a tensor in a file that llama.cpp writes."""
    size = tensor_bytes(_TYPES[type_name], shape)
    return -(-size // 32) * 32


def allocate(choices: Sequence[Sequence[Choice]], budget_bytes: int) -> list[int] | None:
    """One choice a tensor, with the least sum of costs within the budget; None where even the smallest do not fit.

    A multiple-choice knapsack, solved exactly for sizes rounded up to a granule: their common divisor, or a
    65,536th of the budget where that is larger. Dynamic programming over the budget (Kellerer, Pferschy and Pisinger,
    Knapsack Problems, 2004, chapter 11).
    """
    # Called in worker processes alone: nothing else has arrays.
    import numpy
    from numpy.typing import NDArray

    floor = [min(choice.size_bytes for choice in options) for options in choices]
    spare = budget_bytes - sum(floor)
    if spare < 0:
        return None
    extras = [[choice.size_bytes - least for choice in options] for options, least in zip(choices, floor, strict=True)]
    granule = max(math.gcd(*(extra for options in extras for extra in options)) or 1, -(-spare // _MOST_STATES))
    states = spare // granule + 1
    best = numpy.zeros(states)
    taken: NDArray[numpy.uint8] = numpy.zeros((len(choices), states), numpy.uint8)
    for place, options in enumerate(choices):
        least = numpy.full(states, numpy.inf)
        for number, choice in enumerate(options):
            steps = -(-extras[place][number] // granule)
            if steps >= states:
                continue
            cost = best[: states - steps] + choice.cost
            better = cost < least[steps:]
            least[steps:][better] = cost[better]
            taken[place, steps:][better] = number
        best = least
    chosen = [0] * len(choices)
    state = states - 1
    for place in range(len(choices) - 1, -1, -1):
        chosen[place] = int(taken[place, state])
        state -= -(-extras[place][chosen[place]] // granule)
    return chosen


def paired_verdict(first: Sequence[float], second: Sequence[float]) -> Verdict:
    """Student's paired t interval of the mean difference over chunks, whose tokens hang together and count as one.

    Takes the mean divergences of the same chunks, at least two.
    """
    differences = [a - b for a, b in zip(first, second, strict=True)]
    centre = mean(differences)
    half = student_t(len(differences) - 1) * (standard_deviation(differences) or 0.0) / math.sqrt(len(differences))
    return Verdict(difference=centre, low=centre - half, high=centre + half)


def parse_file_size(text: str) -> int:
    """`90MiB`, `1.5 GiB`, `90M`, or a number of bytes; raises ValueError, saying why in words."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text[:40]!r} is no size such as 90MiB, and no type such as Q4_K_M")
    size_bytes = int(float(match["count"]) * _SIZE_UNITS[(match["unit"] or "B")[0].upper()])
    if size_bytes < 1:
        raise ValueError(f"{text[:40]!r} is nothing")
    return size_bytes


def size_for_rate(points: Sequence[tuple[int, float]], tps: float) -> int | None:
    """The largest size at which a token takes no longer than a rate allows; None where none is that fast.

    `points` are sizes in bytes and seconds a token; between two of them it is linear, since decoding reads every weight
    once a token, and beyond the largest nothing is claimed.
    """
    allowed, best = 1 / tps, None
    ordered = sorted(points)
    for (size, seconds), following in zip(ordered, [*ordered[1:], None], strict=True):
        if seconds > allowed:
            continue
        best = size
        if following is not None and following[1] > allowed:
            best = size + int((following[0] - size) * (allowed - seconds) / (following[1] - seconds))
    return best


def type_shares(names: Iterable[tuple[str, int]]) -> tuple[tuple[str, int, int], ...]:
    """Type, tensors and bytes from each tensor's type and bytes."""
    sums: dict[str, list[int]] = {}
    for type_name, size in names:
        entry = sums.setdefault(type_name, [0, 0])
        entry[0] += 1
        entry[1] += size
    return tuple(sorted(((name, *entry) for name, entry in sums.items()), key=lambda share: -share[2]))  # type: ignore[misc]


def verdict_sentence(result: RecipeResult) -> str:
    """What the measurement shows, honestly."""
    recipe, stock, verdict = result.recipe, result.stock, result.verdict
    smaller = 1 - stock.size_bytes / recipe.size_bytes
    sizes = f"{format_bytes(recipe.size_bytes)} against {format_bytes(stock.size_bytes)}"
    figures = (
        f"KL divergence {recipe.kl:.4f} against {stock.kl:.4f} nats, difference {verdict.difference:+.4f}"
        f" (95 % interval {verdict.low:+.4f} to {verdict.high:+.4f}, {len(recipe.kl_chunks)} chunks that chose nothing)"
    )
    words = {
        "better": f"The recipe beats {result.stock_type}",
        "worse": f"The recipe is worse than {result.stock_type}: take that",
        "no difference shown": f"No difference from {result.stock_type} is shown: take that, or measure more chunks",
    }
    note = ""
    if smaller > 0.01:
        note = f" {result.stock_type} is {smaller:.1%} smaller, which favours the recipe."
    elif smaller < -0.01:
        note = f" No usual type is that small: {result.stock_type} is {-smaller:.1%} larger, which favours it."
    if result.recovered_from is not None:
        note += f" The parent was recovered from {result.recovered_from}, which favours that type and those like it."
    return f"{words[verdict.word]} ({sizes}): {figures}.{note}"


def speed_sentence(result: RecipeResult) -> str:
    """Both decode rates; empty where they were not measured."""
    recipe, stock = result.recipe, result.stock
    if recipe.decode_tps is None or stock.decode_tps is None:
        return ""
    told = f"Decode {format_rate(recipe.decode_tps)}, {result.stock_type} {format_rate(stock.decode_tps)}."
    if result.wanted_tps is None:
        return told
    met = "reaches" if recipe.decode_tps >= result.wanted_tps else "does not reach"
    return f"{told} It {met} the {format_rate(result.wanted_tps)} asked for."


_TYPES = {kind.name: kind for kind in TENSOR_TYPES.values()}
