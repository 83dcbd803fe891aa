"""Which type each tensor shall have, and the stock type to hold that against; asks llama.cpp's own dry runs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgetui.core.failures import EdgetuiError
from edgetui.core.ggml import UNQUANTIZED
from edgetui.core.quant_options import QuantOptions
from edgetui.core.recipe_search import Choice, allocate, group_of, may_be_quantized, padded_bytes
from edgetui.core.statistics import median
from edgetui.core.units import format_bytes
from edgetui.engines.llama_cpp import quantize
from edgetui.formats.gguf import check_loadable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from edgetui.core.recipe_search import GroupSensitivity, RecipeSettings
    from edgetui.core.tensor_errors import TensorError
    from edgetui.formats.gguf_header import GgufHeader, GgufTensor
    from edgetui.worker.protocol import QuantizationPlan

FILE_TYPE = {"Q6_K": "Q6_K", "Q5_K": "Q5_K_M", "Q4_K": "Q4_K_M", "Q3_K": "Q3_K_M", "Q2_K": "Q2_K"}
"""llama.cpp's type of a file whose tensors have mostly this type; others have the same name."""
_ODD_STOCK = ("TQ", "Q1_0", "Q2_0", "MXFP4", "NVFP4")
"""Types for models that were trained for them."""
_SAME_SIZE = 0.95
"""Usual types from this share of the largest on stand for the same size: the best of them is the one to beat."""


@dataclass(frozen=True)
class RecipePlan:
    """What was chosen."""

    overrides: tuple[tuple[str, str], ...]
    """Each tensor that may be quantized, and its type."""
    tensors: tuple[tuple[str, int], ...]
    """Type and bytes of every tensor."""
    file_bytes: int
    base_type: str
    predicted_kl: float | None


@dataclass(frozen=True)
class StockPlan:
    """What it is held against."""

    type_name: str
    file_bytes: int
    predicted_kl: float | None


class _Costs:
    """What a tensor's error in a type costs: KL divergence where sensitivities tell, else relative squared error."""

    def __init__(
        self, header: GgufHeader, errors: Iterable[TensorError], sensitivities: Sequence[GroupSensitivity]
    ) -> None:
        self._layers = header.of_architecture("block_count") or 1
        self._errors = {(error.tensor, error.type_name): error for error in errors}
        self._per_error = {found.group: found.per_error for found in sensitivities}
        # A group that could not be probed counts as one in the middle.
        self._usual = median(list(self._per_error.values())) if self._per_error else 0.0

    def of(self, tensor: GgufTensor, type_name: str) -> float | None:
        """None for a type that was not measured for it."""
        if type_name in UNQUANTIZED and type_name == tensor.type.name:
            return 0.0
        error = self._errors.get((tensor.name, type_name))
        if error is None or error.output_error is None:
            return None
        if not self._per_error:
            return (error.relative or 0.0) ** 2 * math.prod(tensor.shape)
        return self._per_error.get(group_of(tensor.name, self._layers), self._usual) * error.output_error

    def total(self, types: Iterable[tuple[GgufTensor, str]]) -> float | None:
        """Predicted KL divergence; None where it is not known."""
        costs = [self.of(tensor, kind) for tensor, kind in types]
        known = [cost for cost in costs if cost is not None]
        return math.fsum(known) if self._per_error and len(known) == len(costs) else None

    def require_sound(self) -> None:
        """Raises `EdgetuiError("bad_file")` for a model with weights that are no numbers."""
        broken = next((error for error in self._errors.values() if error.not_finite), None)
        if broken is not None:
            raise EdgetuiError(
                "bad_file",
                f"The tensor {broken.tensor} holds {broken.not_finite} weights that are NaN or infinite, so no type can"
                " be chosen for it: get another build of the model.",
            )


def plan_recipe(
    source: Path,
    errors: Sequence[TensorError],
    sensitivities: Sequence[GroupSensitivity],
    settings: RecipeSettings,
    imatrix: str,
) -> RecipePlan:
    """The types with the least cost that fit into the size; raises `EdgetuiError("bad_request")` where none do."""
    header = check_loadable(source)
    costs = _Costs(header, errors, sensitivities)
    costs.require_sound()
    free = [tensor for tensor in header.tensors if may_be_quantized(tensor.name, tensor.shape)]
    target_bytes = settings.target_bytes
    options = [_choices(tensor, settings.types, costs) for tensor in free]
    free_names = {tensor.name for tensor in free}
    fixed = [tensor for tensor in header.tensors if tensor.name not in free_names]
    rest = _rest_bytes(source, free_names, imatrix)
    chosen = allocate(options, target_bytes - rest) if free else None
    if chosen is None:
        least = rest + sum(min(choice.size_bytes for choice in of) for of in options)
        raise EdgetuiError(
            "bad_request",
            f"{format_bytes(target_bytes)} is too small for {header.path.name}: with the types that its rows"
            f" divide into it takes at least {format_bytes(least)} ({least} bytes).",
        )
    picked = [of[number] for of, number in zip(options, chosen, strict=True)]
    by_type: dict[str, int] = {}
    for choice in picked:
        if choice.type_name not in UNQUANTIZED:
            by_type[choice.type_name] = by_type.get(choice.type_name, 0) + choice.size_bytes
    if not by_type:
        raise EdgetuiError(
            "bad_request",
            f"{header.path.name} fits into {format_bytes(target_bytes)} as it is: ask for a smaller size.",
        )
    largest = max(by_type, key=lambda name: by_type[name])
    return RecipePlan(
        overrides=tuple((tensor.name, choice.type_name) for tensor, choice in zip(free, picked, strict=True)),
        tensors=(
            *((choice.type_name, choice.size_bytes) for choice in picked),
            *((tensor.type.name, tensor.size_bytes) for tensor in fixed),
        ),
        file_bytes=rest + sum(choice.size_bytes for choice in picked),
        base_type=FILE_TYPE.get(largest, largest),
        predicted_kl=costs.total((tensor, choice.type_name) for tensor, choice in zip(free, picked, strict=True)),
    )


def plan_stock(
    source: Path,
    errors: Sequence[TensorError],
    sensitivities: Sequence[GroupSensitivity],
    recipe: RecipePlan,
    imatrix: str,
) -> StockPlan:
    """The usual type to beat: of those just below or at the recipe's size the best by prediction, else the smallest.

    Raises `EdgetuiError("unsupported")` where llama.cpp can make none.
    """
    options = QuantOptions(imatrix=imatrix)
    usual = [plan for plan in quantize.plan(source, (), options) if _is_usual(plan)]
    if not usual:
        raise EdgetuiError("unsupported", f"llama.cpp makes no quantized type of {source.name} to compare with.")
    below = [plan for plan in usual if (plan.size_bytes or 0) <= recipe.file_bytes]
    if below:
        largest = max(plan.size_bytes or 0 for plan in below)
        alike = [plan for plan in below if (plan.size_bytes or 0) >= largest * _SAME_SIZE]
    else:
        least = min(plan.size_bytes or 0 for plan in usual)
        alike = [plan for plan in usual if plan.size_bytes == least]
    found = [_predicted(source, plan, errors, sensitivities, options) for plan in alike]
    return min(found, key=lambda plan: (math.inf if plan.predicted_kl is None else plan.predicted_kl, -plan.file_bytes))


def _rest_bytes(source: Path, free: set[str], imatrix: str) -> int:
    """All of a file but the tensors that may be quantized, whatever types those have."""
    written = quantize.predict(source, "Q8_0", QuantOptions(imatrix=imatrix))
    return written.file_bytes - sum(
        padded_bytes(tensor.new_type.upper(), tensor.shape) for tensor in written.tensors if tensor.name in free
    )


def _choices(tensor: GgufTensor, names: Sequence[str], costs: _Costs) -> list[Choice]:
    kept = Choice(tensor.type.name, padded_bytes(tensor.type.name, tensor.shape), 0.0)
    choices = [kept]
    for name in names:
        cost = costs.of(tensor, name)
        if name != tensor.type.name and cost is not None:
            choice = Choice(name, padded_bytes(name, tensor.shape), cost)
            if choice.size_bytes < kept.size_bytes:
                choices.append(choice)
    return choices


def _is_usual(plan: QuantizationPlan) -> bool:
    return (
        plan.size_bytes is not None
        and plan.problem is None
        and not plan.needs_imatrix
        and plan.type_name not in UNQUANTIZED
        and not plan.type_name.startswith(_ODD_STOCK)
    )


def _predicted(
    source: Path,
    plan: QuantizationPlan,
    errors: Sequence[TensorError],
    sensitivities: Sequence[GroupSensitivity],
    options: QuantOptions,
) -> StockPlan:
    header = check_loadable(source)
    costs = _Costs(header, errors, sensitivities)
    new_types = {tensor.name: tensor.new_type for tensor in quantize.predict(source, plan.type_name, options).tensors}
    types = [
        (tensor, new_types.get(tensor.name, tensor.type.name).upper())
        for tensor in header.tensors
        if may_be_quantized(tensor.name, tensor.shape)
    ]
    return StockPlan(plan.type_name, plan.size_bytes or 0, costs.total(types))
