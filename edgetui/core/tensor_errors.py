"""What quantizing did to each tensor of a model, and how a list of tensors is sorted and filtered."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Literal

import msgspec

from edgetui.core.models import TensorItem
from edgetui.core.units import MISSING, counted, format_bytes, format_count

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

TensorColumn = Literal["order", "name", "shape", "type", "bytes", "share", "relative", "rmse", "max", "override"]
COLUMNS: tuple[TensorColumn, ...] = (
    "order", "name", "shape", "type", "bytes", "share", "relative", "rmse", "max", "override",
)  # fmt: skip
"""What a list may be sorted by; `order` is the file's own."""
_SPECIAL, _ESCAPED = re.compile(r"([^\w-])"), r"\\\1"
"""What means something else in a regular expression, and how it is written then."""
Overrides = tuple[tuple[str, str], ...]
"""Pairs of a pattern of tensor names and a ggml type, llama-quantize's --tensor-type."""


class TensorError(msgspec.Struct, frozen=True, kw_only=True):
    """How far a tensor's weights are from its unquantized parent's of the same name."""

    tensor: str
    type_name: str
    """ggml's, such as `Q4_K`: in which its weights were stored."""
    rmse: float | None = None
    """Root mean square of the differences; None where some weights are no numbers, or could not be compared."""
    relative: float | None = None
    """`rmse` over the root mean square of the parent's weights; None for a parent of zeros."""
    max_abs: float | None = None
    """Largest absolute difference."""
    output_error: float | None = None
    """Sum of squared differences, each times the mean square of the activation that it is multiplied with where an
    importance matrix tells it: the expected squared error of the tensor's output for one token."""
    not_finite: int = 0
    """Weights that are NaN or infinite, in the tensor or in its parent's."""
    share_read: float = 1.0
    """Share of its weights that the figures were measured on, evenly spread."""
    problem: str = ""
    """Why nothing was compared, such as another shape in the parent."""


class TensorRow(msgspec.Struct, frozen=True, kw_only=True):
    """One tensor as a list shows it."""

    item: TensorItem
    order: int
    """Place in the file, from 0."""
    share: float
    """Of the bytes of all tensors, 0 to 1."""
    error: TensorError | None = None
    override: str = ""
    """ggml type that a person wants for it."""


def tensor_rows(
    items: Sequence[TensorItem], errors: Iterable[TensorError] = (), overrides: Overrides = ()
) -> list[TensorRow]:
    """Every tensor in the file's order, with what is known of it."""
    total = sum(item.size_bytes for item in items) or 1
    by_name = {error.tensor: error for error in errors}
    wanted = {pattern: type_name for pattern, type_name in overrides}
    return [
        TensorRow(
            item=item,
            order=place,
            share=item.size_bytes / total,
            error=by_name.get(item.name),
            override=wanted.get(exact_pattern(item.name), ""),
        )
        for place, item in enumerate(items)
    ]


def sorted_rows(rows: Iterable[TensorRow], column: TensorColumn) -> list[TensorRow]:
    """By a column: names upwards, figures from the largest down, with NaN first and what has no figure last."""
    if column == "order":
        return sorted(rows, key=lambda row: row.order)
    if column in ("name", "type", "override"):
        return sorted(rows, key=lambda row: (_text(row, column) or "~", row.order))
    return sorted(rows, key=lambda row: (-_figure(row, column), row.order))


def matches(row: TensorRow, words: Sequence[str]) -> bool:
    """Whether every word (lower case) occurs in the name, type, shape or override; `nan` finds such tensors."""
    nan = "nan" if row.error is not None and row.error.not_finite else ""
    text = f"{row.item.name} {row.item.type_name} {format_shape(row.item.shape)} {row.override} {nan}".lower()
    return all(word in text for word in words)


def exact_pattern(name: str) -> str:
    r"""A regular expression that finds this tensor and no other: `output.weight` -> `^output\.weight$`."""
    return f"^{_SPECIAL.sub(_ESCAPED, name)}$"


def format_shape(shape: Sequence[int]) -> str:
    """`576x1536`, the row first."""
    return "x".join(map(str, shape))


def format_error(value: float | None, not_finite: int = 0) -> str:
    """`1.23e-03`; `NaN` where weights are no numbers."""
    if not_finite:
        return "NaN"
    return MISSING if value is None else f"{value:.2e}"


def format_relative(error: TensorError | None) -> str:
    """`4.21 %`."""
    if error is None:
        return MISSING
    if error.not_finite:
        return "NaN"
    if error.relative is None:
        return MISSING
    return "0 %" if error.relative == 0 else f"{error.relative * 100:.3g} %"


def summary(rows: Sequence[TensorRow], shown: int, column: TensorColumn) -> str:
    """One line over a list: `272 tensors, 134M weights, 98.9 MiB, by relative error`."""
    weights = sum(math.prod(row.item.shape) for row in rows)
    size = format_bytes(sum(row.item.size_bytes for row in rows))
    count = f"{shown} of {counted(len(rows), 'tensor')}" if shown < len(rows) else counted(len(rows), "tensor")
    broken = sum(bool(row.error and row.error.not_finite) for row in rows)
    nan = f", NaN in {broken}" if broken else ""
    return f"{count}, {format_count(weights)} weights, {size}{nan}, by {column}"


def _text(row: TensorRow, column: TensorColumn) -> str:
    return {"name": row.item.name, "type": row.item.type_name, "override": row.override}[column]


def _figure(row: TensorRow, column: TensorColumn) -> float:
    error = row.error
    if column == "shape":
        return float(math.prod(row.item.shape))
    if column in ("bytes", "share"):
        return float(row.item.size_bytes)
    if error is None:
        return -1.0
    if error.not_finite:
        return math.inf
    figure = {"relative": error.relative, "rmse": error.rmse, "max": error.max_abs}[column]
    return -0.5 if figure is None else figure


def trial_of(engine_version: str, imatrix_fingerprint: str = "", most_weights: int = 0) -> str:
    """What errors of types that were tried are kept by: engine, importance matrix and thoroughness decide them."""
    return f"types:{engine_version}:{imatrix_fingerprint}:{most_weights or 'all'}"
